// Package devtest runs the whole system in a test.
package devtest

import (
	"context"
	"testing"
	"time"

	"orderflow/cmd/orderctl/dev"
)

// Start starts the system in a folder of the test; it ends with the test, and must end well.
func Start(t *testing.T) *dev.System {
	t.Helper()
	system, err := dev.Start(t.Context(), dev.Options{Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := system.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return system
}
