package remoting

import (
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func batchEntries() []BatchEntry {
	return []BatchEntry{
		{},
		{Flag: -1, Body: []byte("body"), Properties: "KEYS\x01o-1\x02"},
		{Properties: strings.Repeat("p", maxProperties)},
	}
}

func batchBody(tb testing.TB, entries []BatchEntry) []byte {
	tb.Helper()
	var body []byte
	for _, e := range entries {
		var err error
		if body, err = AppendBatchEntry(body, e); err != nil {
			tb.Fatal(err)
		}
	}
	return body
}

func TestBatchRoundTrip(t *testing.T) {
	got, err := ReadBatch(batchBody(t, batchEntries()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(batchEntries(), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, err := ReadBatch(nil); len(got) > 0 || err != nil {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}

func TestBatchBytes(t *testing.T) {
	const want = "0000001f" + "00000000" + "00000000" + "00000007" + "00000005" + "68656c6c6f" + "0004" + "61016202"
	got := batchBody(t, []BatchEntry{{Flag: 7, Body: []byte("hello"), Properties: "a\x01b\x02"}})
	if hex.EncodeToString(got) != want {
		t.Errorf("got  %x\nwant %s", got, want)
	}
}

func TestReadBatchRefuses(t *testing.T) {
	good := string(batchBody(t, batchEntries()[:2]))
	second := good[batchEntrySize:]
	tests := []struct{ name, entry, want string }{
		{"cut", second[:len(second)-1], "length"},
		{"shorter than anything", second[:batchEntrySize-1], "length"},
		{"zero length", "\x00\x00\x00\x00" + second[4:], "length"},
		{"negative length", "\xff\xff\xff\xff" + second[4:], "length"},
		{"longest body", second[:16] + "\x7f\xff\xff\xff" + second[20:], "body"},
		{"negative body", second[:16] + "\xff\xff\xff\xff" + second[20:], "body"},
		{"long properties", second[:24] + "\x7f\xff" + second[26:], "properties"},
		{"negative properties", second[:24] + "\xff\xff" + second[26:], "properties"},
		{"short properties", second[:24] + "\x00\x01" + second[26:], "properties"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ReadBatch([]byte(good[:batchEntrySize] + test.entry))
			if !errors.Is(err, ErrMalformed) || !strings.Contains(fmt.Sprint(err), test.want+" of batch entry 1") {
				t.Errorf("err = %v, want ErrMalformed and %s", err, test.want)
			}
		})
	}
}

func TestAppendBatchEntryRefuses(t *testing.T) {
	_, err := AppendBatchEntry(nil, BatchEntry{Properties: strings.Repeat("p", maxProperties+1)})
	if !errors.Is(err, ErrTooLarge) || !strings.Contains(fmt.Sprint(err), "properties") {
		t.Errorf("err = %v, want ErrTooLarge and the properties", err)
	}
}

// TestReadBatchTakesMemoryOfWhatIsThere announces the longest fields.
func TestReadBatchTakesMemoryOfWhatIsThere(t *testing.T) {
	lie := []byte("\x00\x00\x00\x16\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x7f\xff\xff\xff\x7f\xff")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := ReadBatch(lie); !errors.Is(err, ErrMalformed) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<16 {
		t.Errorf("%d bytes for fields that are not there", got)
	}
}

func FuzzReadBatch(f *testing.F) {
	f.Add(batchBody(f, batchEntries()[:2]))
	f.Add([]byte("\x00\x00\x00\x16"))
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := ReadBatch(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("error without a type: %v", err)
			}
			return
		}
		again, err := ReadBatch(batchBody(t, entries))
		if diff := cmp.Diff(entries, again); diff != "" || err != nil {
			t.Errorf("%v, -want +got:\n%s", err, diff)
		}
	})
}
