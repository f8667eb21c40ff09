package mq

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"testing"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/message"
	"orderflow/internal/mq/remoting"
)

// known is the only account of the servers in these tests.
func known(accessKey string) (secret string, ok bool) { return "secret", accessKey == "me" }

func TestAdminSignsItsRequests(t *testing.T) {
	s := newFakeServer(t)
	s.topics["topic"] = remoting.TopicConfig{Name: "topic", ReadQueues: 1, WriteQueues: 1}
	a := NewAdmin([]string{s.addr}, WithCredentials(Credentials{AccessKey: "me", SecretKey: "secret"}))
	defer func() { _ = a.Close() }()
	if err := a.CheckTopic(t.Context(), "topic"); err != nil {
		t.Fatal(err)
	}
	if err := remoting.Verify(s.last(t, remoting.RequestGetRoute), known); err != nil {
		t.Error(err)
	}
	if err := fakeAdmin(t, s.addr).CheckTopic(t.Context(), "topic"); err != nil {
		t.Fatal(err)
	}
	if key, signed := s.last(t, remoting.RequestGetRoute).Ext[remoting.FieldAccessKey]; signed {
		t.Errorf("signed by %q without credentials", key)
	}
}

// Everything that producers and consumers send is signed, by their own admins, too.
func TestCredentialsOfAClientAreEverybodys(t *testing.T) {
	s := newFakeServer(t)
	c, _ := quiet()
	c.NameServers, c.Credentials = []string{s.addr}, Credentials{AccessKey: "me", SecretKey: "secret"}
	p, q, k := NewProducer(c, "g", "topic"), NewTransactionProducer(c, "g", forbidden(t), "topic"),
		NewConsumer(c, Subscription{Group: "g-signed", Topic: "topic"})
	for name, a := range map[string]*Admin{"producer": p.admin, "transaction producer": q.admin, "consumer": k.admin} {
		_ = a.CheckTopic(t.Context(), "topic "+name) // there is none
		if err := remoting.Verify(s.last(t, remoting.RequestGetRoute), known); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := optionsOf(libraryFor(t, k)).FieldByName("Credentials"); got.FieldByName("AccessKey").String() != "me" || got.FieldByName("SecretKey").String() != "secret" {
		t.Errorf("the library has %v", got)
	}
	if err := errors.Join(p.Stop(t.Context()), q.Stop(t.Context()), k.Stop(t.Context())); err != nil {
		t.Error(err)
	}
}

func TestAdminEncrypts(t *testing.T) {
	web := httptest.NewTLSServer(nil) // for its certificate
	defer web.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(web.Certificate())
	b := devbroker.RunT(t, devbroker.WithTLS(&tls.Config{Certificates: web.TLS.Certificates}))
	a := NewAdmin([]string{b.Addr()}, WithTLS(&tls.Config{RootCAs: trusted}))
	defer func() { _ = a.Close() }()
	if created, err := a.EnsureTopic(t.Context(), TopicSpec{Name: "topic"}); !created || err != nil {
		t.Errorf("EnsureTopic = %v, %v", created, err)
	}
	stranger := NewAdmin([]string{b.Addr()}, WithTLS(&tls.Config{RootCAs: x509.NewCertPool()}))
	defer func() { _ = stranger.Close() }()
	if err := stranger.CheckTopic(t.Context(), "topic"); !errors.Is(err, message.ErrUnavailable) {
		t.Errorf("a server that is not trusted: %v", err)
	}
}
