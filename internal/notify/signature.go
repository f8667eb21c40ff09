package notify

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of a signed notification, as https://www.standardwebhooks.com has them.
const (
	HeaderID        = "Webhook-Id"        // the event id: the same each time it is sent
	HeaderTimestamp = "Webhook-Timestamp" // when it was sent this time: seconds since the Unix epoch
	HeaderSignature = "Webhook-Signature" // v1,BASE64 of each secret, blanks between them
)

// Tolerance is how far the time of a notification may be from the receiver's: what is
// older may be a recording that somebody plays back.
const Tolerance = 5 * time.Minute

// The form of secrets and signatures.
const (
	secretPrefix = "whsec_"
	minSecret    = 24 // bytes
	maxSecret    = 64
	signatureV1  = "v1,"
)

// Reasons why Verify refuses a notification.
var (
	ErrUnsigned     = errors.New("not signed: a header is missing or malformed")
	ErrBadSignature = errors.New("no signature of ours: the secret or the content is another one")
	ErrStale        = errors.New("sent too long ago, or in the future")
)

// Secret is a key that sender and receiver share. Printed or logged, it shows nothing.
type Secret struct{ key string }

// ParseSecrets reads secrets with blanks or line ends between them: whsec_, and 24 to 64
// bytes in base64. Several are for a change of the secret: each signs, so that a receiver
// may have the old or the new one. The error does not show them.
func ParseSecrets(text string) ([]Secret, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, errors.New("no secret is there")
	}
	secrets := make([]Secret, len(words))
	for i, word := range words {
		encoded, prefixed := strings.CutPrefix(word, secretPrefix)
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !prefixed || err != nil || len(key) < minSecret || len(key) > maxSecret {
			return nil, fmt.Errorf("secret %d must be %s and the base64 of %d to %d random bytes", i+1, secretPrefix, minSecret, maxSecret)
		}
		secrets[i] = Secret{string(key)}
	}
	return secrets, nil
}

// String shows nothing.
func (Secret) String() string { return secretPrefix + "…" }

// GoString keeps the key out of %#v too.
func (s Secret) GoString() string { return s.String() }

// LogValue keeps the key out of the log.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// signature is the signature of a notification by one secret, as it stands in the header.
func (s Secret) signature(id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(s.key))
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	return signatureV1 + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// sign sets the headers of a notification that is sent now.
func sign(header http.Header, n Notification, now time.Time, secrets []Secret) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		signatures[i] = s.signature(n.EventID, timestamp, n.Body)
	}
	header.Set(HeaderID, n.EventID)
	header.Set(HeaderTimestamp, timestamp)
	header.Set(HeaderSignature, strings.Join(signatures, " "))
}

// Verify is for receivers: it returns the event id if header and body are of a
// notification that somebody signed who has one of the secrets, not long before now. The
// body must be the very bytes that arrived, and be verified before anything in it is
// believed. The same event may arrive again: look the id up before acting, and answer 2xx
// if it is known.
func Verify(header http.Header, body []byte, now time.Time, secrets ...Secret) (eventID string, err error) {
	id, timestamp, signatures := header.Get(HeaderID), header.Get(HeaderTimestamp), strings.Fields(header.Get(HeaderSignature))
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	// A dot in the id could borrow from the timestamp and the body behind it.
	if id == "" || strings.Contains(id, ".") || err != nil || len(signatures) == 0 {
		return "", ErrUnsigned
	}
	genuine := false
	for _, s := range secrets {
		want := []byte(s.signature(id, timestamp, body))
		for _, got := range signatures {
			genuine = hmac.Equal(want, []byte(got)) || genuine
		}
	}
	if !genuine {
		return "", ErrBadSignature
	}
	if sent := time.Unix(seconds, 0); sent.Before(now.Add(-Tolerance)) || sent.After(now.Add(Tolerance)) {
		return "", fmt.Errorf("%w: at %s", ErrStale, sent.UTC().Format(time.RFC3339))
	}
	return id, nil
}
