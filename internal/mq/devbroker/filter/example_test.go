package filter_test

import (
	"fmt"

	"orderflow/internal/mq/devbroker/filter"
	"orderflow/internal/mq/remoting"
)

// message is what a broker has stored of one.
type message struct{ properties string }

func (m *message) Property(name string) (string, bool) {
	value := remoting.Property(m.properties, name)
	return value, value != ""
}

func Example() {
	paid, err := filter.Parse(filter.KindTag, "paid || shipped")
	if err != nil {
		panic(err)
	}
	large, err := filter.Parse(filter.KindSQL, "amount > 100 AND region IS NOT NULL")
	if err != nil {
		panic(err)
	}
	m := &message{"TAGS\x01paid\x02amount\x01120\x02region\x01eu\x02"}
	fmt.Println(paid.Match(m), large.Match(m))
	// Output: true true
}
