package java

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"orderflow/internal/mq/realbroker"
)

// stackLevels are the delay levels of the stack's broker (deploy/stack).
const stackLevels = "1s 5s 1s 1s 1s 2s 2s 2s 5s 5s 5s 10s 10s 10s 20s 3s 1m 10m"

func TestJavaClient(t *testing.T) {
	nameServer := realbroker.NameServer(t)
	j := newJVM(t)
	if output, err := j.admin(t.Context(), "clusterList", "-n", nameServer).CombinedOutput(); err != nil {
		t.Fatalf("mqadmin: %v\n%s", err, output)
	}
	t.Run("real", func(t *testing.T) {
		t.Parallel()
		testTarget(t, j, nameServer)
	})
	t.Run("devbroker", func(t *testing.T) {
		t.Parallel()
		testTarget(t, j, startBroker(t))
	})
}

func testTarget(t *testing.T, j *jvm, nameServer string) {
	t.Run("mqadmin", func(t *testing.T) { // the longest first
		t.Parallel()
		testAdmin(t, j, nameServer)
	})
	for _, encoding := range []string{"JSON", "ROCKETMQ"} {
		t.Run("client/"+encoding, func(t *testing.T) {
			t.Parallel()
			testClient(t, j, nameServer, encoding)
		})
	}
}

// testClient plays the scenes with one encoding of the headers.
func testClient(t *testing.T, j *jvm, nameServer, encoding string) {
	ctx, cancel := context.WithTimeout(t.Context(), programTimeout)
	defer cancel()
	output, err := j.scenes(ctx, []string{
		"-Drocketmq.serialize.type=" + encoding, "-Drocketmq.client.localOffsetStoreDir=" + t.TempDir(),
	}, "Check", nameServer, suffix()).CombinedOutput()
	played := 0
	for line := range strings.Lines(string(output)) {
		result, rest, _ := strings.Cut(line, " ")
		name, detail, _ := strings.Cut(strings.TrimSpace(rest), " ")
		switch result {
		case "ok":
			played++
			t.Logf("%s: %s", name, detail)
		case "FAIL":
			t.Errorf("%s: %s", name, detail)
		default:
			t.Errorf("unexpected output: %s", line)
		}
	}
	if err != nil || played == 0 {
		t.Errorf("%d scenes went well, and the program ended with %v", played, err)
	}
}

// suffix tells this run's topics and groups apart.
func suffix() string { return fmt.Sprintf("%08x", rand.Uint32()) }
