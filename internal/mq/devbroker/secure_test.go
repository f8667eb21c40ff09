package devbroker_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"time"

	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/remoting"
)

// certificate makes one for loopback, and what trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TLS and plain connections come to the same port. One that begins a handshake and
// does not end it costs a connection, for a while.
func TestTLS(t *testing.T) {
	t.Parallel()
	own, pool := certificate(t)
	b, _ := startManual(t, devbroker.WithTLS(&tls.Config{Certificates: []tls.Certificate{own}}))
	b.SetPatience(0, 100*time.Millisecond, 0, 0, 0)
	for _, bad := range []string{"\x16", "\x16\x03\x01\x00\x05hello", "\x16\x03\x01\xff\xff"} {
		nc := dialRaw(t, b)
		write(nc, []byte(bad))
		ends(t, nc)
	}
	ends(t, dialRaw(t, b)) // says nothing
	eventually(t, "all have gone", func() bool { return connections(b) == 0 })
	b.SetPatience(0, time.Minute, 0, 0, 0)
	secure := remoting.NewClient(remoting.Options{TLS: &tls.Config{RootCAs: pool}})
	defer func() { _ = secure.Close() }() // it returns no error
	plain := dial(t, b)
	for range 3 {
		if _, err := secure.Call(context.Background(), b.Addr(), remoting.NewRequest(remoting.RequestSendMessage, sending("orders"), make([]byte, 1<<20))); err != nil {
			t.Fatal(err)
		}
		plain.store("orders", "plain")
	}
	if n := len(bodies(b, "orders")); n != 6 {
		t.Errorf("%d messages are stored", n)
	}
}

// With credentials every request to the broker must be signed, and none to the name
// server.
func TestCredentials(t *testing.T) {
	t.Parallel()
	b, _ := startManual(t, devbroker.WithCredentials("key", "secret"))
	call := func(credentials remoting.Credentials, code int, ext map[string]string) int {
		t.Helper()
		client := remoting.NewClient(remoting.Options{Credentials: credentials})
		defer func() { _ = client.Close() }() // it returns no error
		_, err := client.Call(context.Background(), b.Addr(), remoting.NewRequest(code, ext, []byte("m")))
		return remoting.ResponseCode(err)
	}
	for credentials, want := range map[remoting.Credentials]int{
		{AccessKey: "key", SecretKey: "secret"}:   remoting.ResponseSuccess,
		{AccessKey: "key", SecretKey: "guess"}:    remoting.ResponseNoPermission,
		{AccessKey: "other", SecretKey: "secret"}: remoting.ResponseNoPermission,
		{}: remoting.ResponseNoPermission,
	} {
		if code := call(credentials, remoting.RequestSendMessage, sending("orders")); code != want {
			t.Errorf("%+v: code %d, want %d", credentials, code, want)
		}
		if code := call(credentials, remoting.RequestClusterInfo, nil); code != remoting.ResponseSuccess {
			t.Errorf("%+v: the name server answers with code %d", credentials, code)
		}
	}
	if n := len(bodies(b, "orders")); n != 1 {
		t.Errorf("%d messages are stored", n)
	}
}
