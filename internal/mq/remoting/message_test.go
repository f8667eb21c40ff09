package remoting

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func sameMessage() cmp.Option { return cmpopts.EquateComparable(netip.AddrPort{}) }

// storedMessages are some of each kind.
func storedMessages() []StoredMessage {
	v4, v6 := netip.MustParseAddrPort("10.1.2.3:40000"), netip.MustParseAddrPort("[2001:db8::1]:10911")
	return []StoredMessage{
		{BornHost: netip.MustParseAddrPort("0.0.0.0:0"), StoreHost: v4},
		{
			Topic: "orders", QueueID: 3, Flag: -7, SysFlag: SysCompressed | SysCommit | SysCompressionZlib,
			QueueOffset: 12, PhysicalOffset: 1 << 40, BornAt: 1700000000123, StoredAt: 1700000000456,
			BornHost: v4, StoreHost: v4, Attempts: 2, PreparedOffset: 99,
			Body: []byte("body"), Properties: "KEYS\x01o-1\x02TAGS\x01created\x02",
		},
		{Topic: strings.Repeat("t", maxTopicV1), SysFlag: SysBornHostV6, BornHost: v6, StoreHost: v4, QueueID: -1},
		{Topic: strings.Repeat("t", maxTopicV1+1), SysFlag: SysBornHostV6 | SysStoreHostV6, BornHost: v6, StoreHost: v6},
		{Properties: strings.Repeat("p", maxProperties), SysFlag: SysStoreHostV6, BornHost: v4, StoreHost: v6},
	}
}

func TestMessageRoundTrip(t *testing.T) {
	var stream []byte
	for _, m := range storedMessages() {
		before := len(stream)
		var err error
		if stream, err = AppendMessage(stream, m); err != nil {
			t.Fatal(err)
		}
		if got := len(stream) - before; got != MessageSize(m) {
			t.Errorf("%d bytes, MessageSize says %d", got, MessageSize(m))
		}
		if got, err := FrameLength(stream[before:]); got != MessageSize(m) || err != nil {
			t.Errorf("FrameLength = %d, %v; want %d", got, err, MessageSize(m))
		}
	}
	for _, want := range storedMessages() {
		got, rest, err := ReadMessage(stream)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, sameMessage()); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		stream = rest
	}
	if len(stream) > 0 {
		t.Errorf("%d bytes are left", len(stream))
	}
}

// TestMessageBytes compares with a message spelt out field by field.
func TestMessageBytes(t *testing.T) {
	m := StoredMessage{
		Topic: "T", QueueID: 1, Flag: 2, SysFlag: SysPrepared, QueueOffset: 3, PhysicalOffset: 4,
		BornAt: 5, BornHost: netip.MustParseAddrPort("1.2.3.4:6"),
		StoredAt: 7, StoreHost: netip.MustParseAddrPort("[::ffff:5.6.7.8]:9"), // IPv4 all the same
		Attempts: 10, PreparedOffset: 11, Body: []byte("hello"), Properties: "a\x01b\x02",
	}
	want := "00000065 daa320a7 3610a686 00000001 00000002 0000000000000003 0000000000000004 00000004" +
		"0000000000000005 01020304 00000006 0000000000000007 05060708 00000009 0000000a 000000000000000b" +
		"00000005 68656c6c6f 01 54 0004 61016202"
	got, err := AppendMessage(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.ReplaceAll(want, " ", ""); hex.EncodeToString(got) != want {
		t.Errorf("got  %x\nwant %s", got, want)
	}
	// The checksum has no sign bit, as Java computes it.
	m.Body = []byte("a") // CRC-32 E8B7BE43
	if got, _ = AppendMessage(nil, m); binary.BigEndian.Uint32(got[8:]) != 0x68B7BE43 {
		t.Errorf("checksum %x", got[8:12])
	}
}

func TestSetOffsets(t *testing.T) {
	m := storedMessages()[3]
	frame, err := AppendMessage(nil, m)
	if err != nil {
		t.Fatal(err)
	}
	SetOffsets(frame, 1<<50, -2)
	m.QueueOffset, m.PhysicalOffset = 1<<50, -2
	got, _, err := ReadMessage(frame)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m, got, sameMessage()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReadMessageBodyIsPartOfTheFrame(t *testing.T) {
	frame, err := AppendMessage(nil, storedMessages()[1])
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := ReadMessage(frame)
	if err != nil {
		t.Fatal(err)
	}
	m.Body[0] = 'B'
	_ = append(m.Body, "overwritten"...)
	again, _, err := ReadMessage(frame)
	if err != nil || string(again.Body) != "Body" || again.Topic != "orders" {
		t.Errorf("%q, %q, %v", again.Body, again.Topic, err)
	}
}

func TestAppendMessageRefuses(t *testing.T) {
	for field, m := range map[string]StoredMessage{
		"topic":      {Topic: strings.Repeat("t", maxTopicV2+1)},
		"properties": {Properties: strings.Repeat("p", maxProperties+1)},
		"queue id":   {QueueID: 1 << 31},
	} {
		if _, err := AppendMessage(nil, m); !errors.Is(err, ErrTooLarge) || !strings.Contains(fmt.Sprint(err), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestReadMessageRefuses(t *testing.T) {
	good, err := AppendMessage(nil, StoredMessage{Topic: "T", Body: []byte("body"), Properties: "a\x01b\x02"})
	if err != nil {
		t.Fatal(err)
	}
	const bodyAt = fixedSize + addressesV4
	tests := []struct {
		name, field string
		at          int
		value       string
	}{
		{"longer than the frame", "message of", 0, "\x00\x00\x00\x65"},
		{"longest", "message of", 0, "\x7f\xff\xff\xff"},
		{"negative", "message of", 0, "\xff\xff\xff\xff"},
		{"cut", "properties", 0, "\x00\x00\x00\x62"},
		{"no message", "magic CBD43194", magicAt, "\xcb\xd4\x31\x94"},
		{"born port", "born host", bornHostAt + 4, "\x00\x01\x00\x00"},
		{"negative store port", "store host", bornHostAt + 20, "\xff\xff\xff\xff"},
		{"born host is none", "body", sysFlagAt, "\x00\x00\x00\x10"}, // everything behind it moves
		{"negative body", "body", bodyAt, "\xff\xff\xff\xff"},
		{"long body", "body", bodyAt, "\x00\x00\x00\x0d"},
		{"long topic", "topic", bodyAt + 8, "\x7f"},
		{"negative topic", "topic", bodyAt + 8, "\x80"},
		{"long properties", "properties", bodyAt + 10, "\x00\x05"},
		{"negative properties", "properties", bodyAt + 10, "\xff\xff"},
		{"short properties", "1 bytes too many", bodyAt + 10, "\x00\x03"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bad := append([]byte(nil), good...)
			copy(bad[test.at:], test.value)
			_, _, err := ReadMessage(bad)
			if !errors.Is(err, ErrMalformed) || !strings.Contains(fmt.Sprint(err), test.field) {
				t.Errorf("err = %v, want ErrMalformed and %q", err, test.field)
			}
		})
	}
	for n := range good {
		if _, _, err := ReadMessage(good[:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v, want ErrMalformed", n, err)
		}
	}
}

func FuzzReadMessage(f *testing.F) {
	var stream []byte
	for _, m := range storedMessages() {
		frame, err := AppendMessage(nil, m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
		stream = append(stream, frame...)
	}
	f.Add(stream)
	f.Fuzz(func(t *testing.T, data []byte) {
		for len(data) > 0 {
			m, rest, err := ReadMessage(data)
			if err != nil {
				if !errors.Is(err, ErrMalformed) {
					t.Fatalf("error without a type: %v", err)
				}
				return
			}
			frame, err := AppendMessage(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			if again, left, err := ReadMessage(frame); err != nil || len(left) > 0 || !cmp.Equal(m, again, sameMessage()) {
				t.Fatalf("%+v\nbecame\n%+v, %v", m, again, err)
			}
			data = rest
		}
	})
}

func BenchmarkMessage(b *testing.B) {
	m := storedMessages()[1]
	frame, err := AppendMessage(nil, m)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			frame, _ = AppendMessage(frame[:0], m)
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _, _ = ReadMessage(frame)
		}
	})
}
