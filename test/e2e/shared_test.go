package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"orderflow/internal/assembly"
)

// sharedDeployment is the system that all peaceful tests of a stack share: an
// order-srv and an inventory-srv, and, where a stack can have that, one more of each.
type sharedDeployment struct {
	once   sync.Once // of the first test that asks for it
	made   *deployment
	broken error // why there is none
}

// sharedSystem is the test's view of the system that the tests of the stack share.
func sharedSystem(t *testing.T, on stack) *system {
	t.Helper()
	d, err := run.shared[on].get(on)
	if err != nil {
		t.Fatalf("no shared system: %v", err)
	}
	s := viewOf(t, d)
	s.logsOnFailure()
	s.useOrder(d.instances[0])
	s.useInventory(d.instances[1])
	return s
}

// get starts the system at its first call.
func (s *sharedDeployment) get(on stack) (*deployment, error) {
	s.once.Do(func() { s.broken = s.start(on) })
	return s.made, s.broken
}

func (s *sharedDeployment) start(on stack) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	logs := filepath.Join(run.folder, "logs-"+string(on))
	if err := os.Mkdir(logs, 0o700); err != nil {
		return err
	}
	var err error
	if s.made, err = deploy(ctx, on, logs, plan{}); err != nil {
		return err
	}
	order, err := s.made.start(ctx, assembly.OrderService, orderSettings()...)
	if err != nil {
		return err
	}
	_, err = s.made.start(ctx, assembly.InventoryService, inventorySettings(order)...)
	if on.has(manyReplicas) {
		_, more := s.made.start(ctx, assembly.InventoryService, inventorySettings(order)...)
		_, another := s.made.start(ctx, assembly.OrderService, orderSettings()...)
		err = errors.Join(err, more, another)
	}
	for _, i := range s.made.instances {
		err = errors.Join(err, i.WaitReady(ctx))
	}
	return err
}

// close ends it, if there is one.
func (s *sharedDeployment) close(ctx context.Context) error {
	if s.made == nil {
		return nil
	}
	return s.made.close(ctx)
}
