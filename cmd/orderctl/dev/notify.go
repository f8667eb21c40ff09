package dev

import (
	"context"
	"errors"
	"fmt"
	"io"

	"orderflow/cmd/orderctl/notifysrv"
	"orderflow/internal/assembly"
)

// NotifyFlags say whether the notifier runs, too.
type NotifyFlags struct {
	Notify                  bool   `default:"false" help:"Also run the notifier, which tells customers what happens to their orders: in the log."`
	NotifyListen            string `default:"127.0.0.1:7003" placeholder:"HOST:PORT" help:"Address of the notifier's API, which has its parked messages."`
	NotifyAdmin             string `default:"127.0.0.1:7013" placeholder:"HOST:PORT" help:"Address of the notifier's health and metrics."`
	NotifyWebhookURL        string `default:"" placeholder:"URL" help:"Run the notifier, and let it post to this http or https URL."`
	NotifyWebhookSecretFile string `default:"" placeholder:"FILE" help:"File with the secret that signs what is posted: see \"orderctl notify --help\"."`
}

// Validate checks the URL.
func (f NotifyFlags) Validate() error {
	if f.NotifyWebhookSecretFile != "" && f.NotifyWebhookURL == "" {
		return errors.New("--notify-webhook-secret-file: needs --notify-webhook-url; without one, notifications go to the log")
	}
	return notifysrv.CheckWebhookURL("--notify-webhook-url", f.NotifyWebhookURL)
}

// wanted tells whether the notifier shall run.
func (f NotifyFlags) wanted() bool { return f.Notify || f.NotifyWebhookURL != "" }

// checkSecret says what is wrong with the webhook's secret before anything runs.
func (f NotifyFlags) checkSecret() error {
	return notifysrv.CheckSecret("--notify-webhook-secret-file", f.NotifyWebhookURL, f.NotifyWebhookSecretFile)
}

// flags are those of the notifier.
func (f NotifyFlags) flags() []string {
	return []string{
		"--listen=" + f.NotifyListen, "--admin-listen=" + f.NotifyAdmin,
		"--webhook-url=" + f.NotifyWebhookURL, "--webhook-secret-file=" + f.NotifyWebhookSecretFile,
	}
}

// describe says where the notifier is, if it runs.
func (f NotifyFlags) describe(w io.Writer, s *System) {
	if f.wanted() {
		fmt.Fprintf(w, "notify         gRPC %s, health and metrics http://%s\n", s.notify.addr(), s.NotifyAdminAddr())
	}
}

// StartNotify starts the notifier, which must not run, and waits until it is ready. It
// makes its consumer group and its tables itself: neither broker nor services were told
// of it before. More flags win over those of the Options.
func (s *System) StartNotify(ctx context.Context, more ...string) error {
	config, err := notifysrv.ParseConfig(s.flags("notify", s.options.NotifyFlags, more)...)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	s.notify, err = start(ctx, s.host(notifysrv.Name), func(ctx context.Context, h assembly.Host) (app, func(), error) {
		return notifysrv.New(ctx, config, h)
	})
	return err
}

// StopNotify drains the notifier, if it runs, and waits for its end.
func (s *System) StopNotify(ctx context.Context) error {
	stopped := s.notify
	s.notify = nil
	return stopped.stop(ctx)
}

// NotifyAdminAddr is where the notifier's health and metrics are; "" when it does not run.
func (s *System) NotifyAdminAddr() string { return s.notify.adminAddr() }
