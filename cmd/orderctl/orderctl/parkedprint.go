package orderctl

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	parkedv1 "orderflow/api/proto/parked/v1"
	"orderflow/internal/cli"
)

// parkedPage is what a service has answered to a list.
type parkedPage struct {
	service string
	page    *parkedv1.ListParkedResponse
}

// showPages writes what the services have parked: as JSON, an object per service.
func (p Parked) showPages(out cli.Output, pages []parkedPage) error {
	if p.Output == "json" {
		all := map[string]json.RawMessage{}
		for _, one := range pages {
			text, err := encoded(one.page)
			if err != nil {
				return err
			}
			all[one.service] = text
		}
		return writeJSON(out, all)
	}
	t := newTable(out)
	t.row("SERVICE", "ID", "GROUP", "TAG", "ORDER", "REASON", "TIMES", "LAST")
	for _, one := range pages {
		for _, m := range one.page.GetMessages() {
			t.row(one.service, m.GetId(), plain(m.GetGroup()), plain(m.GetTag()), plain(m.GetOrderId()), plain(m.GetReason()), m.GetTimes(), moment(m.GetLastAt()))
		}
	}
	for _, one := range pages {
		if token := one.page.GetNextPageToken(); token != "" {
			t.row("more: --service=" + one.service + " --page-token=" + token)
		}
	}
	return t.flush()
}

// showMessage writes a parked message, and what has become of it.
func (p Parked) showMessage(out cli.Output, service, became string, m *parkedv1.ParkedMessage) error {
	if p.Output == "json" {
		text, err := encoded(m)
		if err != nil {
			return err
		}
		return writeJSON(out, map[string]any{"service": service, "message": text})
	}
	t := newTable(out)
	t.parked(service, became, m)
	return t.flush()
}

func (t *table) parked(service, became string, m *parkedv1.ParkedMessage) {
	t.row("parked", m.GetId())
	if became != "" {
		t.row("now", became)
	}
	t.row("service", service)
	t.row("group", plain(m.GetGroup()))
	t.row("topic", plain(m.GetTopic()))
	t.row("tag", plain(m.GetTag()))
	t.row("order", plain(m.GetOrderId()))
	t.row("message", plain(m.GetMessageId()))
	t.row("reason", plain(m.GetReason()))
	t.row("detail", plain(m.GetDetail()))
	t.row("times", m.GetTimes())
	t.row("attempt", m.GetAttempt())
	t.row("first", moment(m.GetFirstAt()))
	t.row("last", moment(m.GetLastAt()))
	for _, name := range slices.Sorted(maps.Keys(m.GetProperties())) {
		t.row("header", plain(name+"="+m.GetProperties()[name]))
	}
	t.gap()
	t.row(plain(string(m.GetBody())))
}

// plain is a foreign text that does nothing to a terminal, nor to a table.
func plain(text string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
}

func encoded(m proto.Message) (json.RawMessage, error) {
	text, err := protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("write answer: %w", err)
	}
	return text, nil
}

func writeJSON(out cli.Output, answer any) error {
	text, err := json.MarshalIndent(answer, "", "  ")
	if err != nil {
		return fmt.Errorf("write answer: %w", err)
	}
	_, err = fmt.Fprintln(out.Stdout, string(text))
	return err
}
