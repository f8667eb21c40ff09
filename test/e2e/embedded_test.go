package e2e

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"orderflow/cmd/orderctl/dev"
	"orderflow/internal/assembly"
	"orderflow/internal/event"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/telemetry"
)

// embed makes the parts of an embedded system: a broker of its own, databases and
// topics.
func (d *deployment) embed(ctx context.Context) error {
	d.prefix, d.names = "", event.NewNames("")
	log, err := os.Create(filepath.Join(d.logs, "embedded.log"))
	if err != nil {
		return err
	}
	d.closing(func(context.Context) error { return log.Close() })
	to := io.Writer(log)
	if d.log != nil {
		to = io.MultiWriter(log, d.log)
	}
	sink := telemetry.NewLogWriter(to)
	d.closing(func(context.Context) error { return sink.Close(time.Minute) })
	options := dev.Options{
		Temp: run.data,
		Log:  telemetry.NewLogger(sink, telemetry.JSON, slog.LevelInfo), Sink: sink,
		Broker: append([]devbroker.Option{
			devbroker.WithDelayLevels(delayLevels), devbroker.WithTransactionTimeout(checkInterval),
			devbroker.WithCheckInterval(checkInterval), devbroker.WithMaxChecks(maxChecks),
		}, d.brokerOptions...),
	}
	if d.keepsData {
		if options.Data, err = os.MkdirTemp(run.data, "embedded-"); err != nil {
			return err
		}
	}
	if d.embedded, err = dev.Prepare(ctx, options); err != nil {
		return err
	}
	d.closing(d.embedded.Close)
	d.nameServer, d.services = d.embedded.Broker().Addr(), inProcess{d.embedded}
	d.databases = files{d.embedded.DatabaseURL}
	return nil
}

// inProcess runs the services in this process: one of each at a time.
type inProcess struct{ system *dev.System }

func (p inProcess) start(ctx context.Context, service assembly.Service, _ string, settings []string) (running, error) {
	s := &inProcessService{ended: make(chan struct{})}
	var err error
	if service == assembly.OrderService {
		err = p.system.StartOrders(ctx, settings...)
		s.grpc, s.admin, s.stop = p.system.OrderAddr(), p.system.OrderAdminAddr(), p.system.StopOrders
	} else {
		err = p.system.StartInventory(ctx, settings...)
		s.grpc, s.admin, s.stop = p.system.InventoryAddr(), p.system.InventoryAdminAddr(), p.system.StopInventory
	}
	return s, err
}

func (p inProcess) refusal(ctx context.Context, service assembly.Service, settings []string) error {
	s, err := p.start(ctx, service, "", settings)
	if err == nil {
		return s.Stop(ctx)
	}
	return err
}

// inProcessService is a service that is ready.
type inProcessService struct {
	grpc, admin string
	stop        func(ctx context.Context) error
	ended       chan struct{}
}

func (s *inProcessService) GRPC() string { return s.grpc }

func (s *inProcessService) Admin() string { return s.admin }

func (s *inProcessService) WaitReady(context.Context) error { return nil }

func (s *inProcessService) Stop(ctx context.Context) error {
	defer close(s.ended)
	return s.stop(ctx)
}

func (s *inProcessService) Done() <-chan struct{} { return s.ended }
