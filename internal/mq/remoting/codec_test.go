package remoting

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// frameOf puts a header of the encoding and a body into a frame.
func frameOf(codec byte, header, body string) []byte {
	frame := binary.BigEndian.AppendUint32(nil, uint32(lengthSize+len(header)+len(body)))
	frame = binary.BigEndian.AppendUint32(frame, uint32(codec)<<24|uint32(len(header)))
	return append(append(frame, header...), body...)
}

// binaryHeader is RocketMQ's binary form of a header.
func binaryHeader(c Command) string {
	b := binary.BigEndian.AppendUint16(nil, uint16(c.Code))
	b = append(b, byte(c.Language))
	b = binary.BigEndian.AppendUint16(b, uint16(c.Version))
	b = binary.BigEndian.AppendUint32(b, uint32(c.Opaque))
	b = binary.BigEndian.AppendUint32(b, uint32(c.Flag))
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Remark)))
	b = append(b, c.Remark...)
	var ext []byte
	for key, value := range c.Ext {
		ext = binary.BigEndian.AppendUint16(ext, uint16(len(key)))
		ext = append(ext, key...)
		ext = binary.BigEndian.AppendUint32(ext, uint32(len(value)))
		ext = append(ext, value...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(ext)))
	return string(append(b, ext...))
}

func readAll(frame []byte) (Command, error) {
	return ReadCommand(bufio.NewReader(bytes.NewReader(frame)), Limits{})
}

// commands are some of each kind.
func commands() []Command {
	return []Command{
		{},
		NewRequest(RequestSendMessage, map[string]string{
			"properties": "KEYS\x01o-1\x02TAGS\x01created\x02", "topic": "<a&b>", "": "empty key", "none": "",
		}, []byte("body")),
		{Code: -1006, Language: Java, Version: 479, Opaque: -5, Flag: 3, Remark: "Straße 訂單 \"q\" \\"},
		NewRequest(RequestSendBatch, nil, bytes.Repeat([]byte{0, 255}, 50_000)),
	}
}

func TestCommandRoundTrip(t *testing.T) {
	var stream bytes.Buffer
	for _, c := range commands() {
		if err := WriteCommand(&stream, c); err != nil {
			t.Fatal(err)
		}
	}
	// Every byte in a read of its own: a frame may be torn anywhere.
	r := bufio.NewReader(iotest.OneByteReader(&stream))
	for _, want := range commands() {
		got, err := ReadCommand(r, Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	if _, err := ReadCommand(r, Limits{}); err != io.EOF {
		t.Errorf("at the end: %v, want io.EOF", err)
	}
}

func TestReadBinaryHeader(t *testing.T) {
	for _, want := range commands() {
		got, err := readAll(frameOf(codecRocketMQ, binaryHeader(want), string(want.Body)))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
}

func TestReadWhatJavaWrites(t *testing.T) {
	got, err := readAll(frameOf(codecJSON, `{"code":0,"extFields":{"offset":12,"big":9007199254740993,"on":true,`+
		`"gone":null,"text":"a\u0001b"},"flag":1,"language":"JAVA","opaque":7,"remark":null,`+
		`"serializeTypeCurrentRPC":"JSON","version":479,"new":{"field":[]}}`, "x"))
	if err != nil {
		t.Fatal(err)
	}
	want := Command{
		Language: Java, Version: 479, Opaque: 7, Flag: FlagResponse, Body: []byte("x"),
		Ext: map[string]string{"offset": "12", "big": "9007199254740993", "on": "true", "text": "a\x01b"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	good := binaryHeader(commands()[1])
	tests := []struct {
		name  string
		frame string
		want  error
	}{
		{"negative length", "\xff\xff\xff\xff", ErrMalformed},
		{"zero length", "\x00\x00\x00\x00", ErrMalformed},
		{"length without header length", "\x00\x00\x00\x03abc", ErrMalformed},
		{"largest length", "\x7f\xff\xff\xff", ErrTooLarge},
		{"header longer than frame", "\x00\x00\x00\x05\x00\x00\x00\x02{}", ErrMalformed},
		{"largest header", "\x00\x00\x00\x05\x00\xff\xff\xff{", ErrMalformed},
		{"unknown encoding", string(frameOf(2, "{}", "")), ErrMalformed},
		{"no JSON", string(frameOf(codecJSON, "nope", "")), ErrMalformed},
		{"empty JSON header", string(frameOf(codecJSON, "", "")), ErrMalformed},
		{"opaque too large", string(frameOf(codecJSON, `{"opaque":2147483648}`, "")), ErrMalformed},
		{"code of a wrong type", string(frameOf(codecJSON, `{"code":[]}`, "")), ErrMalformed},
		{"binary header cut", string(frameOf(codecRocketMQ, good[:len(good)-1], "")), ErrMalformed},
		{"binary header too long", string(frameOf(codecRocketMQ, good+"x", "")), ErrMalformed},
		{"negative remark length", string(frameOf(codecRocketMQ, good[:13]+"\xff\xff\xff\xff", "")), ErrMalformed},
		{"negative key length", string(frameOf(codecRocketMQ, good[:17]+"\x00\x00\x00\x02\xff\xff", "")), ErrMalformed},
		{"stream ends in the length", "\x00\x00", io.ErrUnexpectedEOF},
		{"stream ends in the frame", "\x00\x00\x00\x08\x00", io.ErrUnexpectedEOF},
		{"stream ends before the frame", "\x00\x00\x00\x08", io.ErrUnexpectedEOF},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := readAll([]byte(test.frame)); !errors.Is(err, test.want) {
				t.Errorf("err = %v, want %v", err, test.want)
			}
		})
	}
}

func TestReadLimit(t *testing.T) {
	frame, err := AppendCommand(nil, NewRequest(1, nil, make([]byte, 1000)))
	if err != nil {
		t.Fatal(err)
	}
	exact := Limits{MaxFrame: len(frame) - lengthSize}
	if _, err := ReadCommand(bufio.NewReader(bytes.NewReader(frame)), exact); err != nil {
		t.Errorf("at the limit: %v", err)
	}
	exact.MaxFrame--
	if _, err := ReadCommand(bufio.NewReader(bytes.NewReader(frame)), exact); !errors.Is(err, ErrTooLarge) {
		t.Errorf("above the limit: %v, want ErrTooLarge", err)
	}
}

// TestReadTakesMemoryAsItArrives announces the longest frame and sends nothing.
func TestReadTakesMemoryAsItArrives(t *testing.T) {
	const rounds = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range rounds {
		if _, err := readAll([]byte("\x01\x00\x00\x00")); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / rounds; got > 4*bytesAtOnce {
		t.Errorf("%d bytes for a frame that did not come", got)
	}
}

func TestWriteRefusesLongHeader(t *testing.T) {
	err := WriteCommand(io.Discard, Command{Remark: strings.Repeat("x", maxHeader)})
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("err = %v, want ErrTooLarge", err)
	}
}

func TestDecodeBody(t *testing.T) {
	body := `{"brokerAddrTable":{"b,1":{"brokerAddrs":{0:"h:1", 12:"{3:4,5:","-1":"x",-2:"y"},"brokerName":"a\"{7:"}},` +
		`"clusterAddrTable":{"c":["b,1"]}}`
	var got ClusterInfo
	if err := DecodeBody([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := ClusterInfo{
		Brokers: map[string]BrokerData{"b,1": {
			Name: `a"{7:`, Addrs: map[string]string{"0": "h:1", "12": "{3:4,5:", "-1": "x", "-2": "y"},
		}},
		Clusters: map[string][]string{"c": {"b,1"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var numbers []int
	if err := DecodeBody([]byte("[1,2,-3]"), &numbers); err != nil || len(numbers) != 3 {
		t.Errorf("%v, %v", numbers, err)
	}
	for _, bad := range []string{"", "{", `{1`, `{-`, `"\`, "{]"} {
		if err := DecodeBody([]byte(bad), &got); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: err = %v, want ErrMalformed", bad, err)
		}
	}
}

// FuzzReadCommand looks for panics, and for commands that are not the same after
// they were written and read again.
func FuzzReadCommand(f *testing.F) {
	for _, c := range commands()[:3] {
		frame, err := AppendCommand(nil, c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
		f.Add(frameOf(codecRocketMQ, binaryHeader(c), string(c.Body)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		limits := Limits{MaxFrame: 1 << 16}
		c, err := ReadCommand(bufio.NewReader(bytes.NewReader(data)), limits)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrTooLarge) &&
				!errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("error without a type: %v", err)
			}
			return
		}
		frame, err := AppendCommand(nil, c)
		if err != nil {
			t.Fatal(err)
		}
		again, err := readAll(frame)
		if err != nil {
			t.Fatalf("%v: %q", err, frame)
		}
		// What is not UTF-8 in a binary header is replaced in the first round.
		frame, err = AppendCommand(nil, again)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(frame); err != nil || !cmp.Equal(again, got) {
			t.Errorf("%+v\nbecame\n%+v, %v", again, got, err)
		}
	})
}

func FuzzDecodeBody(f *testing.F) {
	f.Add([]byte(`{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.1:10911"},"brokerName":"b"}],"queueDatas":[]}`))
	f.Add([]byte(`{1:{-2:[3,4]},"\"{5:":6}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var route Route
		if err := DecodeBody(data, &route); err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("error without a type: %v", err)
		}
	})
}

func BenchmarkCommand(b *testing.B) {
	c := commands()[1]
	frame, err := AppendCommand(nil, c)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = WriteCommand(io.Discard, c)
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = readAll(frame)
		}
	})
}
