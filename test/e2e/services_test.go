package e2e

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"

	"orderflow/internal/assembly"
	"orderflow/internal/process"
)

// services run the services of a deployment.
type services interface {
	// start starts a service with settings as on its command line, of which the
	// later ones win. It listens then, but need not be ready.
	start(ctx context.Context, service assembly.Service, log string, settings []string) (running, error)
	// refusal starts a service that ends by itself before ctx does, and returns why.
	refusal(ctx context.Context, service assembly.Service, settings []string) error
}

// running is a service that was started; *process.Process is one.
type running interface {
	GRPC() string
	Admin() string
	WaitReady(ctx context.Context) error
	Stop(ctx context.Context) error
	Done() <-chan struct{} // closed when it has ended
}

// instance is one start of a service.
type instance struct {
	running
	service  assembly.Service
	settings []string
	log      string // file
}

func bothServices() []assembly.Service {
	return []assembly.Service{assembly.OrderService, assembly.InventoryService}
}

// again is a successor of the instance: at the same address of its API, and without its
// crash point. Later settings win.
func (i *instance) again(more ...string) *instance {
	return &instance{service: i.service, log: i.log, settings: slices.Concat(i.settings, []string{
		"--crash-point=", "--listen=" + i.GRPC(), "--admin-listen=127.0.0.1:0",
	}, more)}
}

// runs tells whether the instance has not ended yet.
func (i *instance) runs() bool {
	select {
	case <-i.Done():
		return false
	default:
		return true
	}
}

// programs run the services as processes.
type programs struct{ d *deployment }

func (p *programs) start(ctx context.Context, service assembly.Service, log string, settings []string) (running, error) {
	path, err := run.binary(string(service))
	if err != nil {
		return nil, err
	}
	return process.Start(ctx, process.Spec{Path: path, Args: p.arguments(service, settings), LogFile: log})
}

func (p *programs) refusal(ctx context.Context, service assembly.Service, settings []string) error {
	_, err := execute(ctx, string(service), p.arguments(service, settings)...)
	return err
}

// arguments are the command line of a service of the deployment.
func (p *programs) arguments(service assembly.Service, settings []string) []string {
	url := p.d.databases.url(service)
	behind := map[assembly.Service]func(string) string{
		assembly.OrderService: p.d.orderURL, assembly.InventoryService: p.d.inventoryURL,
	}[service]
	if behind != nil {
		url = behind(url)
	}
	return append([]string{
		"serve", "--database-url=" + url, "--name-servers=" + p.d.nameServer, "--topic-prefix=" + p.d.prefix,
		"--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0",
	}, settings...)
}

// execute runs a program to its end. The error has what it printed.
func execute(ctx context.Context, program string, args ...string) (stdout string, err error) {
	path, err := run.binary(program)
	if err != nil {
		return "", err
	}
	var out, failure bytes.Buffer
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = &out, &failure
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s%s", program, strings.Join(args, " "), err, out.String(), failure.String())
	}
	return out.String(), nil
}
