// Package crashpoint lets a test kill or pause the real process at a named
// point of the protocol: between the database commit and the commit of the half
// message, for instance. The points are in every build, and cost one nil check
// where none is armed.
//
// A point is armed by a text "NAME=kill" or "NAME=pause:FILE". Kill is SIGKILL:
// nothing is flushed, no deferred call runs. Pause creates FILE when the point
// is reached and goes on when the file is gone.
package crashpoint

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// Name is a point of the protocol.
type Name string

// The points at which a process can be killed or paused.
const (
	// OrderAfterCommit is in order-srv, after the database commit of a local
	// transaction and before the half message is committed.
	OrderAfterCommit Name = "order.after-db-commit"
	// OrderBeforeTransaction is in order-srv, when the half message and the
	// timer are acknowledged and before the database transaction opens.
	OrderBeforeTransaction Name = "order.before-db-transaction"
	// InventoryAfterCommit is in inventory-srv, after the database commit of a
	// handler and before its stock event is sent and the message acknowledged.
	InventoryAfterCommit Name = "inventory.after-db-commit"
	// InventoryAfterClose is in inventory-srv, when the order service has said
	// that an order is closed and before its stock is given back.
	InventoryAfterClose Name = "inventory.after-close-answer"
	// InventoryBeforeClose is in inventory-srv, when a timer has arrived and
	// before the order service is asked.
	InventoryBeforeClose Name = "inventory.before-close-call"
	// NotifyAfterSend is in the notifier, when a receiver has taken a notification and
	// before that is recorded and the message acknowledged.
	NotifyAfterSend Name = "notify.after-send"
)

// All lists every point.
func All() []Name {
	return []Name{
		OrderBeforeTransaction, OrderAfterCommit, InventoryBeforeClose, InventoryAfterClose, InventoryAfterCommit, NotifyAfterSend,
	}
}

// Point is the armed point of a process. A nil *Point is the normal case:
// nothing is armed.
type Point struct {
	name      Name
	pauseFile string
}

// Parse reads "NAME=kill" or "NAME=pause:FILE"; an empty text arms nothing and
// gives nil.
func Parse(text string) (*Point, error) {
	if text == "" {
		return nil, nil
	}
	name, action, _ := strings.Cut(text, "=")
	known := false
	for _, n := range All() {
		known = known || string(n) == name
	}
	if !known {
		return nil, fmt.Errorf("crash point %q is not one of %v", name, All())
	}
	file, pause := strings.CutPrefix(action, "pause:")
	if action != "kill" && (!pause || file == "") {
		return nil, fmt.Errorf("action of crash point %s must be kill or pause:FILE, got %q", name, action)
	}
	if !pause {
		return &Point{name: Name(name)}, nil
	}
	return &Point{name: Name(name), pauseFile: file}, nil
}

// Hit kills or pauses the process if name is armed.
func (p *Point) Hit(name Name) {
	if p == nil || p.name != name {
		return
	}
	if p.pauseFile == "" {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way; nothing may run any more
	}
	p.pause()
}

// pause waits until the file, which says that the point was reached, is removed.
func (p *Point) pause() {
	if err := os.WriteFile(p.pauseFile, []byte(p.name), 0o600); err != nil {
		return
	}
	for {
		if _, err := os.Stat(p.pauseFile); err != nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}
