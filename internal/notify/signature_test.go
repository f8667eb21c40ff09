package notify

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The example of the specification's own libraries.
const (
	exampleSecret    = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	exampleID        = "msg_p5jXN8AQM9LWM0D4loKWxJek"
	exampleBody      = `{"test": 2432232314}`
	exampleSeconds   = 1614265330
	exampleSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
)

func mustSecrets(t *testing.T, text string) []Secret {
	t.Helper()
	secrets, err := ParseSecrets(text)
	if err != nil {
		t.Fatal(err)
	}
	return secrets
}

func anotherSecret() string {
	return secretPrefix + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32))
}

// What we sign is what others' libraries verify.
func TestSignatureIsThatOfTheSpecification(t *testing.T) {
	t.Parallel()
	header, now := http.Header{}, time.Unix(exampleSeconds, 0)
	secrets := mustSecrets(t, exampleSecret+"\n"+anotherSecret()+"\n")
	sign(header, Notification{exampleID, []byte(exampleBody)}, now, secrets)
	first, second, both := strings.Cut(header.Get("webhook-signature"), " ")
	if header.Get("webhook-id") != exampleID || header.Get("webhook-timestamp") != "1614265330" || first != exampleSignature || !both {
		t.Errorf("signed as %v", header)
	}
	if second != secrets[1].signature(exampleID, "1614265330", []byte(exampleBody)) || second == first {
		t.Errorf("the second secret signs as %s", second)
	}
	for _, s := range secrets { // a receiver may have either of them
		if id, err := Verify(header, []byte(exampleBody), now, s); id != exampleID || err != nil {
			t.Errorf("%q, %v", id, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	now := time.Unix(exampleSeconds, 0)
	other := mustSecrets(t, anotherSecret())
	for name, c := range map[string]struct {
		set     map[string]string
		body    string
		now     time.Time
		secrets []Secret
		want    error
	}{
		"as it was sent":      {},
		"among others":        {set: map[string]string{"webhook-signature": "v1,AAAA v2,x , v1a,y " + exampleSignature + " v1,"}},
		"old, but not too":    {now: now.Add(Tolerance)},
		"early, but not too":  {now: now.Add(-Tolerance)},
		"played back":         {now: now.Add(Tolerance + time.Second), want: ErrStale},
		"of the future":       {now: now.Add(-Tolerance - time.Second), want: ErrStale},
		"another body":        {body: exampleBody + " ", want: ErrBadSignature},
		"another id":          {set: map[string]string{"webhook-id": "msg_x"}, want: ErrBadSignature},
		"another time":        {set: map[string]string{"webhook-timestamp": "1614265331"}, want: ErrBadSignature},
		"another secret":      {secrets: other, want: ErrBadSignature},
		"a receiver of none":  {secrets: []Secret{}, want: ErrBadSignature},
		"another version":     {set: map[string]string{"webhook-signature": "v2" + exampleSignature[2:]}, want: ErrBadSignature},
		"no version":          {set: map[string]string{"webhook-signature": exampleSignature[3:]}, want: ErrBadSignature},
		"without id":          {set: map[string]string{"webhook-id": ""}, want: ErrUnsigned},
		"without time":        {set: map[string]string{"webhook-timestamp": ""}, want: ErrUnsigned},
		"a time of a sort":    {set: map[string]string{"webhook-timestamp": "now"}, want: ErrUnsigned},
		"without a signature": {set: map[string]string{"webhook-signature": " "}, want: ErrUnsigned},
		// The same bytes are signed, split at another dot.
		"an id that borrows": {set: map[string]string{"webhook-id": exampleID + ".1614265330", "webhook-timestamp": "7"}, want: ErrUnsigned},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			header := http.Header{}
			header.Set("webhook-id", exampleID)
			header.Set("webhook-timestamp", "1614265330")
			header.Set("webhook-signature", exampleSignature)
			for field, value := range c.set {
				header.Set(field, value)
			}
			body, at, secrets := c.body, c.now, c.secrets
			if body == "" {
				body = exampleBody
			}
			if at.IsZero() {
				at = now
			}
			if secrets == nil {
				secrets = append(mustSecrets(t, exampleSecret), other...)
			}
			id, err := Verify(header, []byte(body), at, secrets...)
			if !errors.Is(err, c.want) || (err == nil) != (id == exampleID) {
				t.Errorf("%q, %v; want %v", id, err, c.want)
			}
		})
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	of := func(n int) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, n)) }
	for text, want := range map[string]int{
		exampleSecret: 1, " " + exampleSecret + "\r\n" + anotherSecret(): 2, "whsec_" + of(24): 1, "whsec_" + of(64): 1,
		"": 0, " \n": 0, "whsec_": 0, "whsec_" + of(23): 0, "whsec_" + of(65): 0, of(32): 0, "whsec_secret!": 0,
		"whsk_" + of(32): 0, exampleSecret + " x": 0,
	} {
		secrets, err := ParseSecrets(text)
		if len(secrets) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d secrets, %v", text, len(secrets), err)
		}
		if err != nil && len(text) > 10 && strings.Contains(err.Error(), strings.TrimPrefix(text, "whsec_")) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}

// However it is printed or logged, it shows nothing.
func TestSecretIsNotShown(t *testing.T) {
	t.Parallel()
	secret := mustSecrets(t, exampleSecret)[0]
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", secret)
	for _, text := range []string{fmt.Sprint(secret), fmt.Sprintf("%#v %+v", secret, secret), log.String()} {
		if strings.Contains(text, secret.key) || !strings.Contains(text, "whsec_…") {
			t.Errorf("shown as %s", text)
		}
	}
}
