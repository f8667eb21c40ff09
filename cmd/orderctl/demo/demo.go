// Package demo tells the story of the system on real parts: it starts both
// services, plays one scene after the other through their APIs, prints what they
// answer as it happens, and checks the sums at the end.
package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"orderflow/internal/cli"
)

// sceneTimeout bounds one scene. After a restart the client library may need up
// to a minute until it has its queues again.
const sceneTimeout = 90 * time.Second

// Command plays the demo.
type Command struct {
	OrderDatabaseURL     cli.DatabaseURL `required:"" placeholder:"URL" help:"Database of order-srv."`
	InventoryDatabaseURL cli.DatabaseURL `required:"" placeholder:"URL" help:"Database of inventory-srv."`
	cli.Broker
	Bin           string        `default:"bin" type:"existingdir" help:"Folder of the binaries order-srv and inventory-srv."`
	Logs          string        `default:"" placeholder:"DIR" help:"Folder for the services' logs; a temporary one if empty."`
	PaymentWindow time.Duration `default:"3s" help:"Payment window of the orders: must be one of the broker's delay levels."`
	LongWindow    time.Duration `default:"1m" help:"Payment window of the orders that wait for a service to come back."`
}

// Run is the command. The error says which scene failed, or which sum does not
// hold; nothing that the demo started is left running.
func (c Command) Run(ctx context.Context, out cli.Output) (err error) {
	temporary := c.Logs == ""
	if temporary {
		if c.Logs, err = os.MkdirTemp("", "orderflow-demo-"); err != nil {
			return fmt.Errorf("make folder for the logs: %w", err)
		}
	}
	s := &stage{command: c, story: newStory(out.Stdout), run: uuid.NewString()[:4]}
	defer func() {
		// Also after a Ctrl-C, when ctx has ended.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, s.close(ctx))
		switch {
		case err != nil:
			s.story.say("the services' logs are in " + c.Logs)
		case temporary:
			err = os.RemoveAll(c.Logs)
		}
	}()
	s.story.title(fmt.Sprintf("orderflow: RocketMQ at %s, %s, payment window %s",
		c.NameServers[0], databaseName(c.OrderDatabaseURL), c.PaymentWindow))
	if err := s.open(ctx); err != nil {
		return err
	}
	for i, scene := range scenes() {
		s.story.heading(i+1, scene.title)
		if err := s.play(ctx, scene); err != nil {
			return fmt.Errorf("scene %d (%s): %w", i+1, scene.title, err)
		}
	}
	s.story.heading(len(scenes())+1, "the sums: received = available + reserved + sold")
	return s.audit(ctx)
}

func (s *stage) play(ctx context.Context, scene scene) error {
	ctx, cancel := context.WithTimeout(ctx, sceneTimeout)
	defer cancel()
	return scene.play(ctx, s)
}

func databaseName(url cli.DatabaseURL) string { return "database " + url.String() }

// tool runs one of the programs to its end.
func (c Command) tool(ctx context.Context, path string, env []string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), env...)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", filepath.Base(path), args, err, output)
	}
	return nil
}

// prepare migrates both databases and creates topics and groups; all of it
// changes nothing that is there already.
func (c Command) prepare(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find orderctl: %w", err)
	}
	return errors.Join(
		c.tool(ctx, filepath.Join(c.Bin, "order-srv"), []string{"ORDER_DATABASE_URL=" + string(c.OrderDatabaseURL)}, "migrate"),
		c.tool(ctx, filepath.Join(c.Bin, "inventory-srv"), []string{"INVENTORY_DATABASE_URL=" + string(c.InventoryDatabaseURL)}, "migrate"),
		c.tool(ctx, self, nil, "mq", "init", "--wait=30s", "--name-servers="+c.NameServers[0], "--topic-prefix="+c.TopicPrefix),
	)
}
