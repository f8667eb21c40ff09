package notifysrv

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"orderflow/internal/cli"
	"orderflow/internal/notify"
)

// Config is every setting of the notifier.
type Config struct {
	Listen      string `default:"127.0.0.1:7003" placeholder:"HOST:PORT" help:"Address of the gRPC API, which has the parked messages; port 0 takes a free one."`
	AdminListen string `default:"127.0.0.1:7013" placeholder:"HOST:PORT" help:"Address of /healthz, /readyz, /metrics and /debug/pprof, which is for operators only."`
	// No default: whoever starts without the memory of what was sent sends all of it again.
	cli.Database
	cli.Broker
	Webhook
	SendTimeout         time.Duration `default:"30s" help:"How long sending one notification may take, with its retries, 1s to 5m."`
	ConsumerConcurrency int           `default:"8" help:"How many messages are handled at once, 1 to 1000."`
	cli.Process
	cli.Tracing
	cli.Log
}

// Webhook says where notifications go.
type Webhook struct {
	WebhookURL        string        `default:"" placeholder:"URL" help:"Post notifications to this http or https URL; they are written to the log if it is empty."`
	WebhookSecretFile string        `default:"" placeholder:"FILE" help:"File with the secret that signs them: whsec_ and 24 to 64 bytes in base64; several sign side by side. Without a file the environment variable ORDERCTL_WEBHOOK_SECRET holds it."`
	WebhookTimeout    time.Duration `default:"15s" help:"How long one request may take, 100ms to 1m."`
}

// secretFlag names the file with the secret.
const secretFlag = "--webhook-secret-file"

// SecretVariable is the environment variable with the secret. There is no flag for it:
// other users see the command line.
const SecretVariable = "ORDERCTL_WEBHOOK_SECRET"

// envPrefix begins the environment variable of every flag.
const envPrefix = "ORDERCTL"

// ParseConfig makes a Config from flags, as the command line does.
func ParseConfig(flags ...string) (Config, error) {
	var c Config
	err := cli.ParseFlags(&c, envPrefix, flags...)
	return c, err
}

// Validate checks what concerns the notifier only; the embedded parts check themselves.
func (c Config) Validate() error {
	if err := cli.CheckListen(c.Listen); err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if err := cli.CheckListen(c.AdminListen); err != nil {
		return fmt.Errorf("--admin-listen: %w", err)
	}
	if c.ConsumerConcurrency < 1 || c.ConsumerConcurrency > 1000 {
		return fmt.Errorf("--consumer-concurrency: must be 1 to 1000, is %d", c.ConsumerConcurrency)
	}
	if c.WebhookTimeout > c.SendTimeout {
		return fmt.Errorf("--webhook-timeout: must not be longer than --send-timeout, %v", c.SendTimeout)
	}
	return cli.CheckDuration("--send-timeout", c.SendTimeout, time.Second, 5*time.Minute)
}

// Validate checks the URL and the bounds.
func (w Webhook) Validate() error {
	if err := CheckWebhookURL("--webhook-url", w.WebhookURL); err != nil {
		return err
	}
	if w.WebhookSecretFile != "" && w.WebhookURL == "" {
		return errors.New("--webhook-secret-file: needs --webhook-url; without one, notifications go to the log")
	}
	return cli.CheckDuration("--webhook-timeout", w.WebhookTimeout, 100*time.Millisecond, time.Minute)
}

// CheckWebhookURL says what is wrong with the flag's URL, if it is there and anything is.
func CheckWebhookURL(flag, text string) error {
	if text == "" {
		return nil
	}
	if _, err := notify.ParseWebhookURL(text); err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	return nil
}

// target is the URL without what may be a secret of its own: path and query.
func (w Webhook) target() string {
	u, err := url.Parse(w.WebhookURL)
	if err != nil || u.Host == "" {
		return "the log"
	}
	return u.Scheme + "://" + u.Host
}

// CheckSecret says what is wrong with the secret of a webhook, if there is a webhook: it
// is in the file that the flag names, or in the environment. What is wrong is wrong about
// the command line.
func CheckSecret(flag, webhookURL, file string) error {
	if webhookURL == "" {
		return nil
	}
	if _, err := readSecrets(flag, file); err != nil {
		return &cli.ExitError{Code: cli.ExitUsage, Err: err}
	}
	return nil
}

// readSecrets reads the secrets out of the file that the flag names, or the environment.
func readSecrets(flag, file string) ([]notify.Secret, error) {
	text, source := os.Getenv(SecretVariable), SecretVariable
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		text, source = string(content), flag
	}
	if text == "" {
		return nil, errors.New("a webhook is signed: " + flag + " or " + SecretVariable + " must have the secret")
	}
	secrets, err := notify.ParseSecrets(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	return secrets, nil
}
