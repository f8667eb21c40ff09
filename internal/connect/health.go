package connect

import (
	"context"
	"errors"
	"fmt"
	"net"

	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// ErrNotReady is in the chain of Ready's error if the service has answered.
var ErrNotReady = errors.New("not ready")

// Ready asks the replica at the address whether it is ready; nil means that it is.
func Ready(ctx context.Context, address string) (err error) {
	conn, err := To([]string{address})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	answer, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{})
	if err != nil {
		return fmt.Errorf("ask %s for its health: %w", address, err)
	}
	if answer.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		return fmt.Errorf("%s is %w: %s", address, ErrNotReady, answer.GetStatus())
	}
	return nil
}

// Local is where a server on this machine is reached that listens at the address: it
// may listen on all interfaces.
func Local(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("%q must look like HOST:PORT or :PORT", listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
