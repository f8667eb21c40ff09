// Package demo tells the story of the system: it starts both services, plays one
// scene after the other through their APIs, prints what they answer as it happens,
// and checks the sums at the end. It tells the same story with everything in one
// process, and with the programs on a real broker and real databases.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"orderflow/internal/assembly"
	"orderflow/internal/cli"
	"orderflow/internal/telemetry"
)

// sceneTimeout bounds one scene. After a restart the client library may need up
// to a minute until it has its queues again.
const sceneTimeout = 90 * time.Second

// closeTimeout bounds the end of the services.
const closeTimeout = 30 * time.Second

// Commands are the forms of the story.
type Commands struct {
	Story Story `cmd:"" default:"withargs" help:"Tell the story of an order with everything in this process; nothing else is needed."`
	Real  Real  `cmd:"" help:"Tell the story with the programs of both services, on a broker and databases that run."`

	Running Running `cmd:"" help:"Tell the story with services that run already, be it elsewhere."`

	Peak       Peak       `cmd:"" help:"Show peak shaving: a burst of orders waits at the broker while inventory goes at its own pace."`
	Decoupling Decoupling `cmd:"" help:"Show decoupling: orders are taken while inventory handles no messages, and reserved afterwards."`
}

// Logs says where the services log.
type Logs struct {
	Logs string `default:"" placeholder:"DIR" help:"Folder for the services' logs; a temporary one if empty."`
}

// Story tells the story in this process.
type Story struct{ Logs }

// Help is more about it.
func (Story) Help() string {
	return `It takes less than a minute, and fails if a scene does not end as it should.

  orderctl demo
  orderctl demo story --logs ./demo-logs`
}

// Run is the command. The error says which scene failed, or which sum does not
// hold.
func (c Story) Run(ctx context.Context, out cli.Output) error {
	return c.in(func(folder string) error {
		return logged(folder, func(log *slog.Logger) error {
			return tell(ctx, &embedded{log: log}, windows{short: 5 * time.Second, long: time.Minute}, out)
		})
	}, out)
}

// Real tells the story with the programs.
type Real struct {
	OrderDatabaseURL     cli.DatabaseURL `required:"" placeholder:"URL" help:"Database of order-srv."`
	InventoryDatabaseURL cli.DatabaseURL `required:"" placeholder:"URL" help:"Database of inventory-srv."`
	cli.Broker
	Bin string `default:"bin" type:"existingdir" help:"Folder of the binaries order-srv and inventory-srv."`
	Logs
	PaymentWindow time.Duration `default:"3s" help:"Payment window of the orders: must be one of the broker's delay levels."`
	LongWindow    time.Duration `default:"1m" help:"Payment window of the orders that wait for a service to come back."`
}

// Help is more about it.
func (Real) Help() string {
	return `It migrates the databases, prepares the broker, and starts and stops the programs of
"make build" itself.

  orderctl demo real --order-database-url "mysql://me:pass@tcp(127.0.0.1:3306)/orders" --inventory-database-url "mysql://me:pass@tcp(127.0.0.1:3306)/inventory"`
}

// Run is the command. The error says which scene failed, or which sum does not
// hold; nothing that the demo started is left running.
func (c Real) Run(ctx context.Context, out cli.Output) error {
	return c.in(func(folder string) error {
		c.Logs.Logs = folder
		return tell(ctx, &processes{command: c}, windows{short: c.PaymentWindow, long: c.LongWindow}, out)
	}, out)
}

// in calls f with the folder of the logs. A temporary one is removed if all went
// well.
func (l Logs) in(f func(folder string) error, out cli.Output) (err error) {
	folder := l.Logs
	if folder == "" {
		if folder, err = os.MkdirTemp("", "orderflow-demo-"); err != nil {
			return fmt.Errorf("make folder for the logs: %w", err)
		}
	} else if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("make folder for the logs: %w", err)
	}
	if err := f(folder); err != nil {
		newStory(out.Stdout).say("the services' logs are in " + folder)
		return err
	}
	if l.Logs == "" {
		return os.RemoveAll(folder)
	}
	return nil
}

// logged calls f with the log of what runs in this process, a file in the folder.
func logged(folder string, f func(log *slog.Logger) error) (err error) {
	file, err := os.Create(filepath.Join(folder, "system.log"))
	if err != nil {
		return fmt.Errorf("make the log: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	log := telemetry.NewLogger(file, telemetry.JSON, slog.LevelInfo)
	assembly.UseLogger(log)
	return f(log)
}

// tell plays all scenes.
func tell(ctx context.Context, p parts, w windows, out cli.Output) (err error) {
	s := &stage{parts: p, windows: w, story: newStory(out.Stdout), run: uuid.NewString()[:4]}
	defer func() {
		// Also after a Ctrl-C, when ctx has ended.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		err = errors.Join(err, s.close(ctx))
	}()
	s.story.title("orderflow: " + p.Title())
	if err := s.open(ctx); err != nil {
		return err
	}
	all := scenes(p)
	for i, scene := range all {
		s.story.heading(i+1, scene.title)
		if err := s.play(ctx, scene); err != nil {
			return fmt.Errorf("scene %d (%s): %w", i+1, scene.title, err)
		}
	}
	s.story.heading(len(all)+1, "the sums: received = available + reserved + sold")
	return s.audit(ctx)
}

func (s *stage) play(ctx context.Context, scene scene) error {
	ctx, cancel := context.WithTimeout(ctx, sceneTimeout)
	defer cancel()
	return scene.play(ctx, s)
}
