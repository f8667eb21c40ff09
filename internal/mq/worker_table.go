package mq

import (
	"fmt"
	"reflect"
	"unsafe"
)

// fillWorkerTable makes the entry for topic in the client library's table of
// workers before the consumer starts. The library itself makes it on the first
// message, without a lock: two queues whose first messages come at the same
// moment write the map at once, and the runtime ends the process ("concurrent
// map writes"; apache/rocketmq-client-go#1217, fixed after v2.1.2). The table is
// a private field, hence the reflection; the release is frozen, and should the
// field ever go this says so at the first start instead of at the worst moment.
func fillWorkerTable(library any, topic string, workers int) error {
	value := reflect.ValueOf(library)
	if value.Kind() != reflect.Pointer || value.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("client library: unexpected consumer %T", library)
	}
	field := value.Elem().FieldByName("crCh")
	if !field.IsValid() || field.Type() != reflect.TypeFor[map[string]chan struct{}]() {
		return fmt.Errorf("client library: %T has no worker table; see fillWorkerTable", library)
	}
	table := *(*map[string]chan struct{})(unsafe.Pointer(field.UnsafeAddr()))
	table[topic] = make(chan struct{}, workers)
	return nil
}
