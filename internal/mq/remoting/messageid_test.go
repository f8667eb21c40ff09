package remoting

import (
	"errors"
	"math"
	"net/netip"
	"strings"
	"testing"
)

func TestOffsetMessageID(t *testing.T) {
	tests := []struct {
		host   string
		offset int64
		id     string
	}{
		{"127.0.0.1:10911", 0x8A2B, "7F00000100002A9F0000000000008A2B"},
		{"0.0.0.0:0", -1, "0000000000000000FFFFFFFFFFFFFFFF"},
		{"255.255.255.255:65535", math.MaxInt64, "FFFFFFFF0000FFFF7FFFFFFFFFFFFFFF"},
		{"[2001:db8::1]:10911", 1, "20010DB800000000000000000000000100002A9F0000000000000001"},
	}
	for _, test := range tests {
		host := netip.MustParseAddrPort(test.host)
		if got := OffsetMessageID(host, test.offset); got != test.id {
			t.Errorf("OffsetMessageID(%s, %d) = %s, want %s", test.host, test.offset, got, test.id)
		}
		for _, id := range []string{test.id, strings.ToLower(test.id)} {
			gotHost, gotOffset, err := ParseOffsetMessageID(id)
			if gotHost != host || gotOffset != test.offset || err != nil {
				t.Errorf("ParseOffsetMessageID(%s) = %s, %d, %v", id, gotHost, gotOffset, err)
			}
		}
	}
	mapped := netip.MustParseAddrPort("[::ffff:127.0.0.1]:10911")
	if got := OffsetMessageID(mapped, 0x8A2B); got != tests[0].id {
		t.Errorf("of an IPv4 address in IPv6: %s, want %s", got, tests[0].id)
	}
	if got := OffsetMessageID(netip.AddrPort{}, -1); got != tests[1].id {
		t.Errorf("of no address: %s, want %s", got, tests[1].id)
	}
}

func TestParseOffsetMessageIDRefuses(t *testing.T) {
	for _, id := range []string{
		"", "7F000001", strings.Repeat("0", 31), strings.Repeat("0", 33), strings.Repeat("0", 55), strings.Repeat("0", 57),
		strings.Repeat("G", 32), strings.Repeat("é", 16), "7F000001000100000000000000008A2B", "7F000001FFFFFFFF0000000000008A2B",
	} {
		if host, offset, err := ParseOffsetMessageID(id); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %s, %d, %v; want ErrMalformed", id, host, offset, err)
		}
	}
}

func FuzzParseOffsetMessageID(f *testing.F) {
	f.Add("7F00000100002A9F0000000000008A2B")
	f.Add("20010DB800000000000000000000000100002A9F0000000000000001")
	f.Add("00000000000000000000ffff7F00000100002a9f0000000000000001") // IPv4 in IPv6: it gets shorter
	f.Fuzz(func(t *testing.T, id string) {
		host, offset, err := ParseOffsetMessageID(id)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error without a type: %v", err)
			}
			return
		}
		again := OffsetMessageID(host, offset)
		if len(again) == len(id) && again != strings.ToUpper(id) {
			t.Errorf("%s became %s", id, again)
		}
		if host2, offset2, err := ParseOffsetMessageID(again); host2 != host || offset2 != offset || err != nil {
			t.Errorf("%s became %s, %d, %v; want %s, %d", again, host2, offset2, err, host, offset)
		}
	})
}
