package mqtest_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"orderflow/internal/mq"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/mqtest"
)

// differences is the file that declares what devbroker does otherwise.
const differences = "../devbroker/DIFFERENCES.md"

// declared are the cases that devbroker does not pass on purpose. Each is in a row
// of the file.
func declared(t *testing.T) mqtest.Features {
	t.Helper()
	text, err := os.ReadFile(differences)
	if err != nil {
		t.Fatal(err)
	}
	without := map[string]string{
		"send/no-body":             "a message without a body is refused as illegal, not after an exception",
		"filter/tags-by-hash":      "tags are compared exactly, not by their hash",
		"tx/end-again":             "a half message is decided once; the second decision does not find it",
		"topics/read-only-send":    "a send to a topic without permission to write is refused",
		"filter/sql-wrong-in-pull": "a pull with an expression that cannot be parsed is refused",
		"tx/commit-again-delivers": "a half message is decided once; the second decision does not find it",
	}
	for name := range without {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("the case %s is off, but %s has no row about it", name, differences)
		}
	}
	return mqtest.Features{Without: without}
}

// runDevbroker runs the list on an embedded broker that is set up as deploy/stack
// sets up the real one.
func runDevbroker(t *testing.T, f mqtest.Features, e mqtest.Endpoint, options ...devbroker.Option) {
	t.Helper()
	b := devbroker.RunT(t, append(options,
		devbroker.WithDelayLevels("1s 5s 1s 1s 1s 2s 2s 2s 5s 5s 5s 10s 10s 10s 20s 3s 1m 10m"),
		devbroker.WithTransactionTimeout(time.Second), devbroker.WithCheckInterval(time.Second),
		devbroker.WithAutoCreateGroups(false))...)
	e.NameServer, e.Advance = b.Addr(), b.Advance
	mqtest.Run(t, f, e)
}

func TestDevbroker(t *testing.T) {
	t.Parallel()
	runDevbroker(t, declared(t), mqtest.Endpoint{})
}

// The same with every request signed.
func TestDevbrokerWithCredentials(t *testing.T) {
	t.Parallel()
	account := mq.Credentials{AccessKey: "mqtest", SecretKey: "a secret of mqtest"}
	runDevbroker(t, declared(t), mqtest.Endpoint{Credentials: account}, devbroker.WithCredentials(account.AccessKey, account.SecretKey))
}

// The same with its other way to check back, which is nearer to the real broker's.
func TestDevbrokerWithRepeatedCommits(t *testing.T) {
	t.Parallel()
	runDevbroker(t, declared(t), mqtest.Endpoint{}, devbroker.WithRepeatedCommits())
}

// The same over TLS, as far as the clients know it.
func TestDevbrokerWithTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(nil) // it has a certificate for 127.0.0.1, and who signs it
	server.StartTLS()
	t.Cleanup(server.Close)
	runDevbroker(t, declared(t), mqtest.Endpoint{TLS: server.Client().Transport.(*http.Transport).TLSClientConfig},
		devbroker.WithTLS(&tls.Config{Certificates: server.TLS.Certificates}))
}
