package mq

import (
	"github.com/apache/rocketmq-client-go/v2/primitive"

	"orderflow/internal/mq/remoting"
)

// Credentials are an account of the brokers: every request is signed with the
// secret key, which itself is never sent. The zero value is none, and requests
// are not signed.
type Credentials struct {
	AccessKey string // the account's name
	SecretKey string
}

// WithCredentials signs the Admin's requests.
func WithCredentials(c Credentials) AdminOption {
	return func(o *remoting.Options) { o.Credentials = remoting.Credentials(c) }
}

func (c Credentials) library() primitive.Credentials {
	return primitive.Credentials{AccessKey: c.AccessKey, SecretKey: c.SecretKey}
}
