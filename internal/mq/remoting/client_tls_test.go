package remoting

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http/httptest"
	"sync"
	"testing"
)

// certificate makes a certificate of 127.0.0.1 and those who trust it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewTLSServer(nil) // brings one along
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &tls.Config{Certificates: s.TLS.Certificates}, &tls.Config{RootCAs: roots}
}

// strict answers requests over TLS that are signed by "key", and refuses others.
func strict(t *testing.T, config *tls.Config) (addr string) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			nc, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer nc.Close()
				r := bufio.NewReader(nc)
				for {
					request, err := ReadCommand(r, Limits{})
					if err != nil {
						return
					}
					answer := request.Response(ResponseSuccess, "")
					if err := Verify(request, secrets); err != nil {
						answer = request.Response(ResponseNoPermission, err.Error())
					}
					if WriteCommand(nc, answer) != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { _ = listener.Close(); wg.Wait() })
	return listener.Addr().String()
}

func TestClientSignsAndEncrypts(t *testing.T) {
	server, trusting := certificate(t)
	addr := strict(t, server)
	call := func(options Options) error {
		c := NewClient(options)
		defer func() { _ = c.Close() }()
		_, err := c.Call(t.Context(), addr, NewRequest(RequestGetRoute, map[string]string{"topic": "T"}, nil))
		return err
	}
	if err := call(Options{TLS: trusting, Credentials: Credentials{"key", "secret"}}); err != nil {
		t.Error(err)
	}
	for _, credentials := range []Credentials{{}, {"key", "wrong"}, {"other", "secret"}} {
		if err := call(Options{TLS: trusting, Credentials: credentials}); ResponseCode(err) != ResponseNoPermission {
			t.Errorf("as %q: %v, want code %d", credentials.AccessKey, err, ResponseNoPermission)
		}
	}
	var transport *TransportError
	var unknown *tls.CertificateVerificationError
	if err := call(Options{TLS: new(tls.Config)}); !errors.As(err, &transport) || transport.Op != "dial" || !errors.As(err, &unknown) {
		t.Errorf("a certificate of a stranger: %v", err)
	}
	if err := call(Options{}); !errors.As(err, &transport) {
		t.Errorf("without TLS: %v, want a *TransportError", err)
	}
}
