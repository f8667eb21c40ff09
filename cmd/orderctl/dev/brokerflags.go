package dev

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"orderflow/internal/cli"
	"orderflow/internal/mq/devbroker"
	"orderflow/internal/mq/devbroker/wal"
	"orderflow/internal/mq/remoting"
)

// BrokerFlags are the settings of the embedded broker. The names of the real
// broker's are in the help.
type BrokerFlags struct {
	DelayLevels        string        `default:"1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h" help:"The delay levels, which redeliveries use, too (messageDelayLevel)."`
	TransactionTimeout time.Duration `default:"6s" help:"Age of a half message at its first check-back, 1ms to 24h (transactionTimeOut)."`
	CheckInterval      time.Duration `default:"30s" help:"Time between two check-backs, 1ms to 24h (transactionCheckInterval)."`
	MaxChecks          int           `default:"15" help:"Check-backs before a half message is put aside, 1 to 1000000 (transactionCheckMax)."`
	RepeatedCommits    bool          `default:"false" help:"Deliver a message twice that its producer commits while a check-back does, as the real broker can."`
	AutoCreateTopics   bool          `default:"false" help:"Create topics by their first use (autoCreateTopicEnable)."`
	Fsync              string        `default:"always" enum:"always,interval,never" help:"When what is in the data folder is safe from a power failure: ${enum}."`
	Retention          time.Duration `default:"72h" help:"How long messages are kept, 1m to 8760h (fileReservedTime)."`
}

// Validate checks the bounds.
func (f BrokerFlags) Validate() error {
	if _, err := remoting.ParseDelayLevels(f.DelayLevels); err != nil {
		return fmt.Errorf("--delay-levels: %w", err)
	}
	if f.MaxChecks < 1 || f.MaxChecks > 1_000_000 {
		return fmt.Errorf("--max-checks: must be 1 to 1000000, is %d", f.MaxChecks)
	}
	return errors.Join(
		cli.CheckDuration("--transaction-timeout", f.TransactionTimeout, time.Millisecond, 24*time.Hour),
		cli.CheckDuration("--check-interval", f.CheckInterval, time.Millisecond, 24*time.Hour),
		cli.CheckDuration("--retention", f.Retention, time.Minute, 365*24*time.Hour),
	)
}

func (f BrokerFlags) options() []devbroker.Option {
	fsync := map[string]wal.Fsync{"always": wal.Always, "interval": wal.Interval, "never": wal.Never}
	options := []devbroker.Option{
		devbroker.WithDelayLevels(f.DelayLevels), devbroker.WithTransactionTimeout(f.TransactionTimeout),
		devbroker.WithCheckInterval(f.CheckInterval), devbroker.WithMaxChecks(f.MaxChecks),
		devbroker.WithAutoCreateTopics(f.AutoCreateTopics), devbroker.WithFsync(fsync[f.Fsync]),
		devbroker.WithRetention(f.Retention),
	}
	if f.RepeatedCommits {
		options = append(options, devbroker.WithRepeatedCommits())
	}
	return options
}

// checkBrokerListen says what is wrong with an address for the broker: clients are
// told to connect to it, so it cannot be "all interfaces", nor a name.
func checkBrokerListen(flag, address string) error {
	host, _, err := net.SplitHostPort(address)
	if err == nil {
		err = cli.CheckListen(address)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	if ip, err := netip.ParseAddr(host); err != nil || ip.IsUnspecified() {
		return fmt.Errorf("%s: %q must have an IP address that clients can reach", flag, address)
	}
	return nil
}

// SecurityFlags say who may use the broker, and how it is reached.
type SecurityFlags struct {
	AccessKey string `default:"" help:"Requests must be signed for this access key; with --secret-key."`
	SecretKey string `default:"" help:"The secret of the access key. Better in the environment, where other users do not see it."`
	TLSCert   string `default:"" name:"tls-cert" placeholder:"FILE" help:"Also take TLS connections, with this certificate (PEM); with --tls-key."`
	TLSKey    string `default:"" name:"tls-key" placeholder:"FILE" help:"The certificate's key (PEM)."`
}

// Validate checks that what belongs together is there.
func (f SecurityFlags) Validate() error {
	if (f.AccessKey == "") != (f.SecretKey == "") {
		return errors.New("--access-key and --secret-key go together")
	}
	if (f.TLSCert == "") != (f.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key go together")
	}
	return nil
}

func (f SecurityFlags) options() ([]devbroker.Option, error) {
	var options []devbroker.Option
	if f.AccessKey != "" {
		options = append(options, devbroker.WithCredentials(f.AccessKey, f.SecretKey))
	}
	if f.TLSCert != "" {
		certificate, err := tls.LoadX509KeyPair(f.TLSCert, f.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		options = append(options, devbroker.WithTLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}))
	}
	return options, nil
}
