package remoting

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sendHeader is the header of the request that a broker reads most.
const sendHeader = `{"code":310,"language":"JAVA","version":479,"opaque":4711,"flag":0,` +
	`"extFields":{"a":"order-srv","b":"order-events","c":"TBW102","d":"4","e":"3","f":"0","g":"1700000000123","h":"0",` +
	`"i":"KEYS\u0001o-4711\u0002UNIQ_KEY\u00017F0000010001\u0002TAGS\u0001created\u0002WAIT\u0001true\u0002",` +
	`"j":"0","k":"false","l":"16","m":"false"},"serializeTypeCurrentRPC":"JSON"}`

// ordinaryHeaders are those that scanHeader must read itself.
func ordinaryHeaders() []string {
	headers := []string{
		sendHeader,
		`{"code":-1}`,
		`{"code":0,"extFields":{},"flag":1,"language":"JAVA","opaque":-7,"remark":null,"serializeTypeCurrentRPC":"JSON","version":479}`,
		`{"extFields":{"n":-12,"big":9007199254740993,"t":true,"f":false,"gone":null,"twice":"1","twice":"2","gone":null}}`,
		`{"extFields":{"gone":null},"remark":"\"\\\/\b\f\n\r\t\u00e4\uFFFF Straße 訂單"}`,
		`{"extFields":null,"language":"COBOL"}`,
	}
	for _, c := range commands() {
		headers = append(headers, string(appendHeader(nil, c)))
	}
	return headers
}

// otherHeaders are left to encoding/json.
func otherHeaders() []string {
	return []string{
		"", "{}", "null", "nope", ` {"code":1}`, `{"code":1} `, `{"code": 1}`, `{"code":1}}`, `{"code":1`, `{"code":1,}`, `{"code"`,
		`{"code":1.0}`, `{"code":1e2}`, `{"code":01}`, `{"code":-}`, `{"code":null}`, `{"code":"1"}`, `{"code":99999999999999999999}`,
		`{"opaque":2147483648}`, `{"code":1,"code":2}`, `{"extFields":{"a":"1"},"extFields":{"b":"2"}}`, `{"Code":1}`, `{"new":1}`,
		`{"extFields":{"a":1.5}}`, `{"extFields":{"a":[1]}}`, `{"extFields":{"a":{"b":"c"}}}`, `{"extFields":{"a":}}`, `{"extFields":[]}`,
		`{"extFields":{"a":"1"`, `{"extFields":{"a":nul}}`, `{"remark":"\ud83d\ude00"}`, `{"remark":"\ud83d"}`, `{"remark":"\x"}`, `{"remark":"\u12"}`,
		`{"remark":"\`, `{"remark":"\u+123"}`, `{"remark":"`, "{\"remark\":\"\xff\"}", "{\"remark\":\"\xff\\n\"}", "{\"remark\":\"\n\"}", `{"remark":1}`, `{"language":null}`,
	}
}

// checkScan compares what scanHeader reads with what encoding/json reads.
func checkScan(t *testing.T, header string) (scanned bool) {
	t.Helper()
	got, ok := scanHeader(header)
	if !ok {
		return false
	}
	want, err := decodeHeader([]byte(header))
	if err != nil {
		t.Errorf("%q was taken for %+v: %v", header, got, err)
	} else if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%q: -want +got:\n%s", header, diff)
	}
	return true
}

func TestScanHeader(t *testing.T) {
	for _, header := range ordinaryHeaders() {
		if !checkScan(t, header) {
			t.Errorf("%q was left to encoding/json", header)
		}
	}
	for _, header := range otherHeaders() {
		if checkScan(t, header) {
			t.Errorf("%q was not left to encoding/json", header)
		}
	}
}

func FuzzHeaderFastPath(f *testing.F) {
	for _, header := range append(ordinaryHeaders(), otherHeaders()...) {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) { checkScan(t, header) })
}

func TestAppendString(t *testing.T) {
	for _, s := range []string{
		"", "plain", "\x00\x01\x1f \x7f", `"\`, "Straße 訂單 😀 \u2028", "\xff", "a\xe4b\xc3", "\uFFFD", strings.Repeat("\x02", 100),
	} {
		quoted := appendString([]byte("x"), s)
		var got string
		if err := json.Unmarshal(quoted[1:], &got); err != nil || quoted[0] != 'x' {
			t.Errorf("%q became %q: %v", s, quoted, err)
		} else if got != string([]rune(s)) {
			t.Errorf("%q became %q", s, got)
		}
	}
}

// TestColonsTakeLittleMemory sends a field that makes a map look large.
func TestColonsTakeLittleMemory(t *testing.T) {
	header := `{"extFields":{"a":"` + strings.Repeat(":", 1<<20) + `"}}`
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, ok := scanHeader(header)
	runtime.ReadMemStats(&after)
	if !ok || len(c.Ext["a"]) != 1<<20 {
		t.Fatal("not read")
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 1<<16 {
		t.Errorf("%d bytes for one field", got)
	}
}

func TestAppendCommandTakesNoMemory(t *testing.T) {
	answer := NewRequest(RequestSendMessage, nil, nil).Response(ResponseSuccess, "")
	answer.Ext = map[string]string{"msgId": "7F", "queueId": "3", "queueOffset": "4711", "properties": "a\x01b\x02"}
	buf := make([]byte, 0, 4096)
	if got := testing.AllocsPerRun(100, func() { buf, _ = AppendCommand(buf[:0], answer) }); got > 0 {
		t.Errorf("%v allocations", got)
	}
}

// FuzzWriteCommand writes commands with any contents and reads them again.
func FuzzWriteCommand(f *testing.F) {
	for _, c := range commands()[:3] {
		for key, value := range c.Ext {
			f.Add(c.Code, c.Flag, c.Remark, key, value, c.Body)
		}
		f.Add(c.Code, c.Flag, c.Remark, "\x80", "😀", c.Body)
	}
	f.Fuzz(func(t *testing.T, code, flag int, remark, key, value string, body []byte) {
		c := Command{Code: code, Language: Go, Flag: flag, Remark: remark, Ext: map[string]string{key: value}, Body: body}
		frame, err := AppendCommand(nil, c)
		if errors.Is(err, ErrTooLarge) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		got, err := ReadCommand(bufio.NewReader(bytes.NewReader(frame)), Limits{})
		if err != nil {
			t.Fatalf("%v: %q", err, frame)
		}
		c.Remark, c.Ext = string([]rune(remark)), map[string]string{string([]rune(key)): string([]rune(value))}
		if len(body) == 0 {
			c.Body = nil
		}
		if diff := cmp.Diff(c, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	})
}

func BenchmarkHeader(b *testing.B) {
	for name, parse := range map[string]func([]byte) (Command, error){"scan": parseJSONHeader, "encoding/json": decodeHeader} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(sendHeader)))
			for b.Loop() {
				if _, err := parse([]byte(sendHeader)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("binary", func(b *testing.B) {
		c, err := parseJSONHeader([]byte(sendHeader))
		if err != nil {
			b.Fatal(err)
		}
		header := []byte(binaryHeader(c))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parseBinaryHeader(header); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("append", func(b *testing.B) {
		c, err := parseJSONHeader([]byte(sendHeader))
		if err != nil {
			b.Fatal(err)
		}
		var dst []byte
		b.ReportAllocs()
		for b.Loop() {
			dst = appendHeader(dst[:0], c)
		}
	})
}
