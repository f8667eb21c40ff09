package remoting

import (
	"crypto/hmac"
	"crypto/sha1" // the protocol's, with a key
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"unicode/utf8"
)

// Names of the fields that say who sent a request.
const (
	FieldAccessKey     = "AccessKey"
	FieldSignature     = "Signature"
	FieldSecurityToken = "SecurityToken" // signed like any other field
)

// FieldUniqueKeyQuery is "true" in a RequestQueryMessage for a unique key. Java
// clients before 4.9.4 set it after they had signed, so the signature of a peer
// that calls itself that old does not cover it.
const FieldUniqueKeyQuery = "_UNIQUE_KEY_QUERY"

// lastUnsignedQuery is the version number of RocketMQ 4.9.3.
const lastUnsignedQuery = 399

// ErrSignature means that a request does not prove who sent it.
var ErrSignature = errors.New("signature refused")

// Credentials are a name and a secret. The zero value is none.
type Credentials struct {
	AccessKey string
	SecretKey string
}

// Sign signs the request as RocketMQ's clients do: with an HMAC-SHA1 over the
// values of all fields in the order of their names, and the body. It gives the
// request a new map of fields and leaves the old one alone. Nothing but the
// language, opaque, flag and remark may change afterwards.
func Sign(cmd *Command, accessKey, secretKey string) {
	ext := make(map[string]string, len(cmd.Ext)+2)
	maps.Copy(ext, cmd.Ext)
	ext[FieldAccessKey] = accessKey
	cmd.Ext = ext
	ext[FieldSignature] = signature(*cmd, secretKey)
}

// Verify checks that the request was signed with the secret of the access key
// that it names; secretOf tells a key's secret and whether there is such a key.
// The error wraps ErrSignature.
func Verify(cmd Command, secretOf func(accessKey string) (string, bool)) error {
	key := cmd.Ext[FieldAccessKey]
	if key == "" {
		return fmt.Errorf("%w: the request has no %s", ErrSignature, FieldAccessKey)
	}
	secret, ok := secretOf(key)
	if !ok {
		return fmt.Errorf("%w: %s %q is not known", ErrSignature, FieldAccessKey, key)
	}
	if !hmac.Equal([]byte(cmd.Ext[FieldSignature]), []byte(signature(cmd, secret))) {
		return fmt.Errorf("%w: it is not that of %s %q", ErrSignature, FieldAccessKey, key)
	}
	return nil
}

// signature computes the value of FieldSignature.
func signature(cmd Command, secret string) string {
	mac := hmac.New(sha1.New, []byte(secret))
	for _, name := range slices.Sorted(maps.Keys(cmd.Ext)) {
		if name == FieldSignature || name == FieldUniqueKeyQuery && cmd.Version <= lastUnsignedQuery {
			continue
		}
		value := cmd.Ext[name]
		if !utf8.ValidString(value) {
			value = string([]rune(value)) // that is how it arrives
		}
		mac.Write([]byte(value)) // a hash cannot fail
	}
	mac.Write(cmd.Body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
