package remoting

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"maps"
	"testing"
)

// secrets knows one access key.
func secrets(accessKey string) (string, bool) { return "secret", accessKey == "key" }

// TestSignatureOfOthers has what the stock clients' own tests say.
func TestSignatureOfOthers(t *testing.T) {
	for _, test := range []struct{ content, secret, want string }{
		{"Hello RocketMQ Client ACL Feature", "adiaushdiaushd", "tAb/54Rwwcq+pbH8Loi7FWX4QSQ="},
		{"RocketMQ", "12345678", "IUc8rrO/0gDch8CjObLQsW2rsiA="},
	} {
		if got := signature(Command{Body: []byte(test.content)}, test.secret); got != test.want {
			t.Errorf("%q: %s, want %s", test.content, got, test.want)
		}
	}
}

// TestSignatureCovers spells out what is signed, and in which order.
func TestSignatureCovers(t *testing.T) {
	request := NewRequest(RequestSendMessage, map[string]string{
		"topic": "T", "b": "B", "Z": "Z", FieldSecurityToken: "token", "empty": "", FieldSignature: "old",
	}, []byte("body"))
	Sign(&request, "key", "secret")
	// AccessKey < SecurityToken < Z < b < empty < topic
	mac := hmac.New(sha1.New, []byte("secret"))
	mac.Write([]byte("key" + "token" + "Z" + "B" + "" + "T" + "body"))
	if want := base64.StdEncoding.EncodeToString(mac.Sum(nil)); request.Ext[FieldSignature] != want {
		t.Errorf("%s, want %s", request.Ext[FieldSignature], want)
	}
	if request.Ext[FieldAccessKey] != "key" || request.Ext["b"] != "B" {
		t.Errorf("fields %v", request.Ext)
	}
}

func TestSignLeavesTheCallersFieldsAlone(t *testing.T) {
	ext := map[string]string{"topic": "T"}
	request := NewRequest(RequestGetRoute, ext, nil)
	Sign(&request, "key", "secret")
	if !maps.Equal(ext, map[string]string{"topic": "T"}) {
		t.Errorf("fields became %v", ext)
	}
	request = NewRequest(RequestHeartbeat, nil, nil) // has no fields
	Sign(&request, "key", "secret")
	if err := Verify(request, secrets); err != nil {
		t.Error(err)
	}
}

func TestVerify(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Command)
		ok     bool
	}{
		{"as it was signed", func(*Command) {}, true},
		{"signed twice", func(c *Command) { Sign(c, "key", "secret") }, true},
		{"other opaque", func(c *Command) { c.Opaque = 7 }, true},
		{"other value", func(c *Command) { c.Ext["topic"] = "U" }, false},
		{"one field more", func(c *Command) { c.Ext["x"] = "y" }, false},
		{"one field less", func(c *Command) { delete(c.Ext, "topic") }, false},
		{"other body", func(c *Command) { c.Body = []byte("Body") }, false},
		{"other signature", func(c *Command) { c.Ext[FieldSignature] = "x" + c.Ext[FieldSignature][1:] }, false},
		{"no signature", func(c *Command) { delete(c.Ext, FieldSignature) }, false},
		{"no key", func(c *Command) { delete(c.Ext, FieldAccessKey) }, false},
		{"no fields", func(c *Command) { c.Ext = nil }, false},
		{"unknown key", func(c *Command) { Sign(c, "other", "secret") }, false},
		{"wrong secret", func(c *Command) { Sign(c, "key", "Secret") }, false},
		{"query by unique key, old client", func(c *Command) { c.Ext[FieldUniqueKeyQuery] = "true" }, true},
		{"query by unique key, new client", func(c *Command) {
			c.Version = lastUnsignedQuery + 1
			c.Ext[FieldUniqueKeyQuery] = "true"
		}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request := NewRequest(RequestSendMessage, map[string]string{"topic": "T", "none": ""}, []byte("body"))
			Sign(&request, "key", "secret")
			test.change(&request)
			if err := Verify(request, secrets); errors.Is(err, ErrSignature) == test.ok || (err == nil) != test.ok {
				t.Errorf("err = %v", err)
			}
		})
	}
}

// FuzzVerify signs requests and verifies them at the other end, as they are and
// with another value.
func FuzzVerify(f *testing.F) {
	f.Add("topic", "T", "secret", []byte("body"), 317)
	f.Add("AccessKey", "forged", "", []byte(nil), 479)
	f.Add("_UNIQUE_KEY_QUERY", "true", "secret", []byte(nil), 399)
	f.Add("\xff", "\xff\x01", "\xff", []byte{0}, 0)
	f.Fuzz(func(t *testing.T, name, value, secret string, body []byte, version int) {
		secretOf := func(key string) (string, bool) { return secret, key == "key" }
		request := Command{Version: version, Ext: map[string]string{name: value}, Body: body}
		Sign(&request, "key", secret)
		frame, err := AppendCommand(nil, request)
		if err != nil {
			t.Skip(err)
		}
		got, err := ReadCommand(bufio.NewReader(bytes.NewReader(frame)), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if err := Verify(got, secretOf); err != nil {
			t.Errorf("%+v: %v", got, err)
		}
		got.Body = append(got.Body, 0)
		if err := Verify(got, secretOf); !errors.Is(err, ErrSignature) {
			t.Errorf("%+v with a longer body: %v", got, err)
		}
	})
}
