package devbroker

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"orderflow/internal/clock"
	"orderflow/internal/mq/devbroker/wal"
	"orderflow/internal/mq/remoting"
)

// Clock is a clock that Advance can push. The clocks of package clock that can be
// advanced are such clocks.
type Clock interface {
	clock.Clock
	Advance(d time.Duration)
}

// Option changes a setting of a Broker.
type Option func(*settings)

// settings are everything that options change. The defaults are those of Apache
// RocketMQ 5.3.3, except that topics must be created: a name that is misspelt
// should be an error.
type settings struct {
	listen string
	data   string // folder; "" keeps everything in memory
	fsync  wal.Fsync
	clock  Clock
	log    *slog.Logger
	tls    *tls.Config

	accessKey, secretKey string

	levelTable string
	levels     []time.Duration // of levelTable

	transactionTimeout time.Duration
	checkInterval      time.Duration
	maxChecks          int
	repeatedCommits    bool

	permission   int // bits, as of a topic
	createTopics bool
	createGroups bool
	retention    time.Duration
	maxMessage   int
}

// The settings of a broker that nobody has configured, with their names in the
// real broker's configuration.
const (
	defaultDelayLevels        = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h" // messageDelayLevel
	defaultTransactionTimeout = 6 * time.Second                                              // transactionTimeOut
	defaultCheckInterval      = 30 * time.Second                                             // transactionCheckInterval
	defaultMaxChecks          = 15                                                           // transactionCheckMax
	defaultMaxMessage         = 4 << 20                                                      // maxMessageSize
	defaultRetention          = 72 * time.Hour                                               // fileReservedTime
)

func newSettings(options []Option) (settings, error) {
	s := settings{
		listen: "127.0.0.1:0", levelTable: defaultDelayLevels,
		transactionTimeout: defaultTransactionTimeout, checkInterval: defaultCheckInterval, maxChecks: defaultMaxChecks,
		permission: remoting.PermRead | remoting.PermWrite, createGroups: true, maxMessage: defaultMaxMessage, retention: defaultRetention,
		log: slog.New(slog.DiscardHandler),
	}
	for _, option := range options {
		option(&s)
	}
	if s.clock == nil {
		s.clock = clock.NewAhead()
	}
	return s, s.check()
}

func (s *settings) check() (err error) {
	if s.levels, err = remoting.ParseDelayLevels(s.levelTable); err != nil {
		return fmt.Errorf("delay levels: %w", err)
	}
	if _, _, err := net.SplitHostPort(s.listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if s.transactionTimeout <= 0 || s.checkInterval <= 0 || s.maxChecks < 1 {
		return fmt.Errorf("transactions: the timeout %v and the check interval %v must be positive, and %d checks at least 1",
			s.transactionTimeout, s.checkInterval, s.maxChecks)
	}
	if s.retention <= 0 {
		return fmt.Errorf("retention: %v is not positive", s.retention)
	}
	if (s.accessKey == "") != (s.secretKey == "") {
		return fmt.Errorf("credentials: the access key and the secret key go together")
	}
	return nil
}

// WithListen sets the address, HOST:PORT with an IP address as host, because
// clients are told to connect to it; port 0 takes a free one, which Restart keeps.
// The default is a free port on loopback.
func WithListen(address string) Option { return func(s *settings) { s.listen = address } }

// WithDataDir keeps the data in a folder, which is made if it is not there. Without
// it everything is in memory and ends with Close. Start and Restart push the clock to
// the last message in the folder, by ten years at most: where Advance was used, the
// time stays ahead until the folder is deleted.
func WithDataDir(dir string) Option { return func(s *settings) { s.data = dir } }

// WithFsync says when what is in the data folder is safe from a failure of the
// power; it is safe from a kill of the process in any case. The default is
// wal.Always: what was answered with success is on disk.
func WithFsync(when wal.Fsync) Option { return func(s *settings) { s.fsync = when } }

// WithClock sets the clock by which messages are stored, delayed and checked. The
// default is the machine's, which Advance can push, and so can Start; see WithDataDir.
func WithClock(c Clock) Option { return func(s *settings) { s.clock = c } }

// WithLogger sets where connections that end badly and requests that fail are
// logged; nowhere by default.
func WithLogger(l *slog.Logger) Option { return func(s *settings) { s.log = l } }

// WithTLS also takes TLS connections, on the same port: like the real broker, this
// one tells them from plain ones by their first byte.
func WithTLS(c *tls.Config) Option { return func(s *settings) { s.tls = c } }

// WithCredentials requires that requests to the broker are signed with the secret
// key. Those to the name server need not be, as with the real one.
func WithCredentials(accessKey, secretKey string) Option {
	return func(s *settings) { s.accessKey, s.secretKey = accessKey, secretKey }
}

// WithDelayLevels sets the table of delay levels, which is also that of the
// redeliveries: durations such as "1s 10m 2h", the first one is level 1.
func WithDelayLevels(table string) Option { return func(s *settings) { s.levelTable = table } }

// WithTransactionTimeout sets how old a half message must be for its first
// check-back.
func WithTransactionTimeout(d time.Duration) Option {
	return func(s *settings) { s.transactionTimeout = d }
}

// WithCheckInterval sets the time between two check-backs of a half message.
func WithCheckInterval(d time.Duration) Option { return func(s *settings) { s.checkInterval = d } }

// WithMaxChecks sets after how many check-backs a half message that is still
// undecided is moved to TRANS_CHECK_MAX_TIME_TOPIC.
func WithMaxChecks(n int) Option { return func(s *settings) { s.maxChecks = n } }

// WithRepeatedCommits makes a half message anew for each check-back, as the real
// broker does: a commit of the old copy that races a check-back delivers the
// message twice.
func WithRepeatedCommits() Option { return func(s *settings) { s.repeatedCommits = true } }

// WithAutoCreateTopics sets whether a send creates the topic that it is for; false
// by default, unlike the real broker's.
func WithAutoCreateTopics(on bool) Option { return func(s *settings) { s.createTopics = on } }

// WithAutoCreateGroups sets whether a consumer group is created by its first
// member; true by default.
func WithAutoCreateGroups(on bool) Option { return func(s *settings) { s.createGroups = on } }

// WithRetention sets how long messages are kept, consumed or not.
func WithRetention(d time.Duration) Option { return func(s *settings) { s.retention = d } }
