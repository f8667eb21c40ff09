// Package process runs the real binaries of the services, for the demo and for
// the end-to-end tests: it starts one, learns from its log where it listens,
// waits until it is ready, and ends it in a polite or in a brutal way.
package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// pollInterval is how often a condition is looked at.
const pollInterval = 20 * time.Millisecond

// Spec says what to run.
type Spec struct {
	Path    string   // the binary
	Args    []string // its arguments
	Env     []string // KEY=VALUE, added to this process's own environment
	LogFile string   // gets its standard error; appended to
}

// Process is a running service.
type Process struct {
	name string
	cmd  *exec.Cmd
	log  *os.File

	listening chan struct{} // closed when the addresses are known
	grpc      string
	admin     string

	done  chan struct{} // closed when the process has ended and err is valid
	err   error
	state *os.ProcessState

	tail tail
}

// Start starts a service and returns when it listens. The service's log must be
// JSON: the line "listening" says where. If the service ends before that, the
// error carries the end of its log.
func Start(ctx context.Context, s Spec) (*Process, error) {
	log, err := os.OpenFile(s.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	p := &Process{
		name: filepath.Base(s.Path), log: log,
		listening: make(chan struct{}), done: make(chan struct{}),
	}
	p.cmd = exec.Command(s.Path, s.Args...)
	p.cmd.Env = append(os.Environ(), s.Env...)
	// A Ctrl-C at the terminal is for us; we end the services in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pipe: %w", err), log.Close())
	}
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", s.Path, err), log.Close())
	}
	go p.follow(stderr)
	select {
	case <-p.listening:
		return p, nil
	case <-p.done:
		return nil, fmt.Errorf("%s ended at once (%s):\n%s", p.name, p.state, p.tail.String())
	case <-ctx.Done():
		p.Kill()
		return nil, fmt.Errorf("%s does not listen: %w\n%s", p.name, ctx.Err(), p.tail.String())
	}
}

// follow copies the log, picks the addresses out of it, and collects the process
// when it has ended.
func (p *Process) follow(stderr io.Reader) {
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			_, _ = io.WriteString(p.log, line) // a full disk must not stop the service
			p.tail.add(line)
			p.readAddresses(line)
		}
		if err != nil {
			break
		}
	}
	p.err = p.cmd.Wait()
	p.state = p.cmd.ProcessState
	_ = p.log.Close()
	close(p.done)
}

func (p *Process) readAddresses(line string) {
	var entry struct {
		Message string `json:"msg"`
		GRPC    string `json:"grpc"`
		Admin   string `json:"admin"`
	}
	if json.Unmarshal([]byte(line), &entry) != nil || entry.Message != "listening" || p.grpc != "" {
		return
	}
	p.grpc, p.admin = entry.GRPC, entry.Admin
	close(p.listening)
}

// GRPC is the address of the service's API.
func (p *Process) GRPC() string { return p.grpc }

// Admin is the address of its health and metrics.
func (p *Process) Admin() string { return p.admin }

// PID is its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ready tells whether the service says that it is ready.
func (p *Process) Ready(ctx context.Context) bool { return Ready(ctx, p.admin) }

// Ready tells whether the service with the admin address says that it is ready.
func Ready(ctx context.Context, admin string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// WaitReady waits until the service is ready. The error says that it ended, or
// that ctx did, with the end of its log.
func (p *Process) WaitReady(ctx context.Context) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for !p.Ready(ctx) {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended (%s):\n%s", p.name, p.state, p.tail.String())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w\n%s", p.name, ctx.Err(), p.tail.String())
		case <-ticker.C:
		}
	}
	return nil
}

// Signal sends a signal to the process.
func (p *Process) Signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

// Stop asks the service to drain (SIGTERM) and waits until it has ended. The
// error says that it did not end well, or not before ctx: then it is killed.
func (p *Process) Stop(ctx context.Context) error {
	if err := p.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%s did not stop in time and was killed:\n%s", p.name, p.tail.String())
	}
	if p.err != nil {
		return fmt.Errorf("%s: %w\n%s", p.name, p.err, p.tail.String())
	}
	return nil
}

// Kill ends the process with SIGKILL and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Ended waits for the process to end by itself and returns how it did.
func (p *Process) Ended(ctx context.Context) (*os.ProcessState, error) {
	select {
	case <-p.done:
		return p.state, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s is still running: %w", p.name, ctx.Err())
	}
}

// tail keeps the last lines of a log.
type tail struct {
	mu    sync.Mutex
	lines []string
}

const tailLines = 20

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, line)
	if len(t.lines) > tailLines {
		t.lines = t.lines[1:]
	}
}

// String is the end of the log.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "")
}
