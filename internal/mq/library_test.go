package mq

import (
	"math"
	"reflect"
	"regexp"
	"testing"

	"github.com/apache/rocketmq-client-go/v2/consumer"
	"github.com/apache/rocketmq-client-go/v2/primitive"
)

// libraryOf makes the library's consumer for the subscription, without starting it.
func libraryOf(t *testing.T, s Subscription) reflect.Value {
	t.Helper()
	c, _ := quiet()
	c.NameServers = []string{"127.0.0.1:1"}
	return libraryFor(t, NewConsumer(c, s))
}

// libraryFor does the same for a consumer.
func libraryFor(t *testing.T, k *Consumer) reflect.Value {
	t.Helper()
	library, err := consumer.NewPushConsumer(k.options()...)
	if err != nil {
		t.Fatal(err)
	}
	if err := library.Subscribe(k.sub.Topic, k.sub.selector(), k.callback()); err != nil {
		t.Fatal(err)
	}
	return reflect.ValueOf(library).Elem()
}

// optionsOf are the settings of the library's consumer.
func optionsOf(library reflect.Value) reflect.Value {
	return library.FieldByName("defaultConsumer").Elem().FieldByName("option")
}

func TestConsumerOptionsReachTheLibrary(t *testing.T) {
	options := optionsOf(libraryOf(t, Subscription{Group: "g-options", Topic: "topic", MaxAttempts: 4, Concurrency: 7}))
	for name, want := range map[string]int64{
		"FromWhere":                  int64(consumer.ConsumeFromFirstOffset), // T60
		"ConsumerModel":              int64(consumer.Clustering),
		"ConsumeGoroutineNums":       7,
		"ConsumeMessageBatchMaxSize": 1,
		"MaxReconsumeTimes":          3,             // redeliveries
		"ConsumeTimeout":             math.MaxInt64, // or a held message is lost after a while
	} {
		field := options.FieldByName(name)
		if !field.IsValid() || field.Int() != want {
			t.Errorf("%s = %v, want %d", name, field, want)
		}
	}
}

func TestLibraryHasNoLimitOfItsOwn(t *testing.T) {
	options := optionsOf(libraryOf(t, Subscription{Group: "g-unlimited", Topic: "topic"}))
	if got := options.FieldByName("MaxReconsumeTimes").Int(); got != math.MaxInt32-1 {
		t.Errorf("MaxReconsumeTimes = %d", got)
	}
}

// The library must not write its table of workers once messages come: Subscribe
// makes the entry for the topic, and Start that for the retry topic.
func TestSubscribeFillsTheWorkerTable(t *testing.T) {
	field := libraryOf(t, Subscription{Group: "g-table", Topic: "topic", Concurrency: 3}).FieldByName("crCh")
	if !field.IsValid() || field.MapIndex(reflect.ValueOf("topic")).Cap() != 3 {
		t.Errorf("the library's table of workers is %v, want 3 workers for the topic", field)
	}
}

// The library's constants for states are renamed after this release, and the
// zero value of a consumer's result is "acknowledge".
func TestLibraryConstants(t *testing.T) {
	if consumer.ConsumeSuccess != 0 || consumer.ConsumeRetryLater == 0 {
		t.Error("the consumer's results have changed")
	}
	if primitive.SendOK != 0 {
		t.Error("the send states have changed")
	}
}

func TestInstanceNamesAreUnique(t *testing.T) {
	c, _ := quiet()
	seen := map[string]bool{}
	for range 1000 {
		name := c.instance("role")
		if seen[name] || !regexp.MustCompile(`^test-role-[0-9a-f-]{13}$`).MatchString(name) {
			t.Fatalf("instance %q", name)
		}
		seen[name] = true
	}
}

func TestResolverTakesHostNames(t *testing.T) {
	c := Client{NameServers: []string{"127.0.0.1:9876", "broker.example:9876", "[::1]:9876", "http://a.example:1"}}
	want := []string{"127.0.0.1:9876", "http://broker.example:9876", "[::1]:9876", "http://a.example:1"}
	if got := c.resolver().Resolve(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
