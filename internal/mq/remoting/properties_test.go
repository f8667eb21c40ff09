package remoting

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseProperties(t *testing.T) {
	for encoded, want := range map[string]map[string]string{
		"":                                  {},
		"KEYS\x01o-1\x02TAGS\x01new\x02":    {"KEYS": "o-1", "TAGS": "new"},
		"KEYS\x01o-1\x02TAGS\x01new":        {"KEYS": "o-1", "TAGS": "new"}, // the end may lack
		"a\x01b\x02a\x01c\x02":              {"a": "c"},
		"a\x01b\x01c\x02":                   {"a": "b\x01c"},
		"a\x01\x02\x01b\x02c\x02\x02d\x01e": {"d": "e"}, // no value, no name, no separator, nothing
		"\x01\x02\x01\x01\x02":              {},
	} {
		if diff := cmp.Diff(want, ParseProperties(encoded)); diff != "" {
			t.Errorf("%q: -want +got:\n%s", encoded, diff)
		}
	}
}

func TestEncodeProperties(t *testing.T) {
	got := EncodeProperties(map[string]string{
		"b": "2", "a": "1\x01", "": "x", "empty": "", "c\x01": "x", "d\x02": "x", "e": "x\x02KEYS\x01forged",
	})
	if want := "a\x011\x01\x02b\x012\x02"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPropertiesInTheirOrder(t *testing.T) {
	var got []string
	for name, value := range Properties("b\x011\x02bad\x02a\x012\x02b\x013\x02c\x014\x02") {
		if name == "c" {
			break
		}
		got = append(got, name+value)
	}
	if want := []string{"b1", "a2", "b3"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestProperty(t *testing.T) {
	const encoded = "TAGS\x01old\x02KEYS\x01o-1\x02XKEYS\x01no\x02TAGS\x01new\x02TAGS\x01\x02NONE\x02\x01x\x02"
	for name, want := range map[string]string{"KEYS": "o-1", "TAGS": "new", "KEY": "", "NONE": "", "": ""} {
		if got := Property(encoded, name); got != want {
			t.Errorf("Property(%s) = %q, want %q", name, got, want)
		}
	}
	if got := testing.AllocsPerRun(100, func() { _ = Property(encoded, "KEYS") }); got > 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestWithProperty(t *testing.T) {
	tests := []struct{ encoded, name, value, want string }{
		{"", "a", "1", "a\x011\x02"},
		{"b\x012", "a", "1", "b\x012\x02a\x011\x02"},
		{"a\x011\x02b\x012\x02a\x013\x02", "a", "4", "b\x012\x02a\x014\x02"},
		{"a\x011\x02b\x012\x02", "a", "", "b\x012\x02"},
		{"a\x011\x02", "a", "x\x02y\x01z", ""},
		{"a\x011\x02", "", "x", "a\x011\x02"},
	}
	for _, test := range tests {
		if got := WithProperty(test.encoded, test.name, test.value); got != test.want {
			t.Errorf("%q with %q=%q: %q, want %q", test.encoded, test.name, test.value, got, test.want)
		}
	}
}

func TestWithoutProperties(t *testing.T) {
	const encoded = "a\x011\x02b\x012\x02a\x013\x02c\x014\x02bad\x02d\x015"
	for names, want := range map[string]string{
		"a":   "b\x012\x02c\x014\x02bad\x02d\x015",
		"a d": "b\x012\x02c\x014\x02bad\x02",
		"b c": "a\x011\x02a\x013\x02bad\x02d\x015",
		"x":   encoded,
		"":    encoded,
	} {
		if got := WithoutProperties(encoded, strings.Split(names, " ")...); got != want {
			t.Errorf("without %q: %q, want %q", names, got, want)
		}
	}
	if got := testing.AllocsPerRun(100, func() { _ = WithoutProperties(encoded, "x", "y") }); got > 0 {
		t.Errorf("%v allocations where nothing is to be done", got)
	}
}

func TestTagHash(t *testing.T) {
	for tag, want := range map[string]int64{ // what Java's "…".hashCode() says
		"":                   0,
		"a":                  97,
		"TagA":               2598919,
		"created":            1028554472,
		"Aa":                 2112,
		"BB":                 2112,
		"polygenelubricants": -1 << 31,
		"ä":                  228,
		"訂單":                 31*0x8A02 + 0x55AE,
		"😀":                  31*0xD83D + 0xDE00,
	} {
		if got := TagHash(tag); got != want {
			t.Errorf("TagHash(%q) = %d, want %d", tag, got, want)
		}
	}
}

// FuzzParseProperties compares the ways to read, and to change, with the map.
func FuzzParseProperties(f *testing.F) {
	f.Add("KEYS\x01o-1\x02TAGS\x01new\x02", "KEYS", "o-2")
	f.Add("a\x01b\x01c\x02a\x01\x02\x01b\x02c\x02\x02a\x01e", "a", "x\x02")
	f.Fuzz(func(t *testing.T, encoded, name, value string) {
		properties := ParseProperties(encoded)
		again := ParseProperties(EncodeProperties(properties))
		if diff := cmp.Diff(properties, again); diff != "" {
			t.Errorf("%q: -want +got:\n%s", encoded, diff)
		}
		if got := Property(encoded, name); got != properties[name] {
			t.Errorf("%q: Property(%q) = %q, want %q", encoded, name, got, properties[name])
		}
		delete(properties, name)
		if got := ParseProperties(WithoutProperties(encoded, name)); !maps.Equal(got, properties) {
			t.Errorf("%q without %q: %q, want %q", encoded, name, got, properties)
		}
		if encodable(name, value) {
			properties[name] = value
		}
		if got := ParseProperties(WithProperty(encoded, name, value)); !maps.Equal(got, properties) {
			t.Errorf("%q with %q=%q: %q, want %q", encoded, name, value, got, properties)
		}
	})
}

func BenchmarkProperty(b *testing.B) {
	const encoded = "KEYS\x01o-4711\x02UNIQ_KEY\x017F0000010001\x02TAGS\x01created\x02WAIT\x01true\x02"
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = Property(encoded, PropertyTags)
		}
	})
	b.Run("change", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = WithProperty(encoded, PropertyTags, "paid")
		}
	})
}
