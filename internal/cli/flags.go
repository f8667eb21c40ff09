package cli

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"orderflow/internal/crashpoint"
	"orderflow/internal/database"
	"orderflow/internal/telemetry"
)

// Log says what is logged and how.
type Log struct {
	LogLevel  string `default:"info" enum:"debug,info,warn,error" help:"Log lines of at least this level: ${enum}. Calls that went well are debug."`
	LogFormat string `default:"json" enum:"json,text" help:"Format of the log on stderr: ${enum}."`
}

// Logger makes the log.
func (l Log) Logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(l.LogLevel)); err != nil {
		level = slog.LevelInfo // a Log that was not parsed
	}
	return telemetry.NewLogger(w, telemetry.Format(l.LogFormat), level)
}

// logFlush is how long the last lines may take to be written.
const logFlush = 2 * time.Second

// Start makes the log of a service: nobody who logs waits for w, see LogWriter. stop
// writes what is left, and belongs to the end of the program.
func (l Log) Start(w io.Writer) (log *slog.Logger, sink *telemetry.LogWriter, stop func()) {
	sink = telemetry.NewLogWriter(w)
	return l.Logger(sink), sink, func() { _ = sink.Close(logFlush) } // there is nowhere to say that it failed
}

// Database says where the database is.
type Database struct {
	DatabaseURL          DatabaseURL `required:"" placeholder:"URL" help:"mysql://USER:PASSWORD@tcp(HOST:PORT)/SCHEMA or sqlite:FILE. Better in the environment, where other users do not see it."`
	DatabasePasswordFile string      `default:"" placeholder:"FILE" help:"File with the password, for a URL without one: what containers call a secret."`
}

// Open opens the database. It does not connect.
func (d Database) Open() (*database.DB, error) {
	url := string(d.DatabaseURL)
	if d.DatabasePasswordFile != "" {
		password, err := os.ReadFile(d.DatabasePasswordFile)
		if err != nil {
			return nil, fmt.Errorf("--database-password-file: %w", err)
		}
		// Editors and echo end a file with a newline.
		if url, err = database.WithPassword(url, strings.TrimRight(string(password), "\r\n")); err != nil {
			return nil, fmt.Errorf("--database-password-file: %w", err)
		}
	}
	db, err := database.Open(url)
	if err != nil {
		return nil, fmt.Errorf("--database-url: %w", err)
	}
	return db, nil
}

// Validate checks the form of the URL; whether the database answers is seen later.
func (d Database) Validate() error {
	if d.DatabaseURL == "" {
		return errors.New("--database-url: is missing")
	}
	db, err := d.Open()
	if err != nil {
		return err
	}
	if db.Dialect() == database.MySQL && !namesSchema(string(d.DatabaseURL)) {
		return errors.Join(errors.New("--database-url: must name a schema behind the last /"), db.Close())
	}
	return db.Close()
}

// namesSchema tells whether something stands between the last "/" and the
// parameters; without a schema the migrations would have no place to go.
func namesSchema(url string) bool {
	schema, _, _ := strings.Cut(url[strings.LastIndex(url, "/")+1:], "?")
	return schema != ""
}

// DatabaseURL is a URL with a password in it: printed or logged, it shows only
// what stands behind the account.
type DatabaseURL string

// String is the URL without the account.
func (u DatabaseURL) String() string {
	scheme, rest, found := strings.Cut(string(u), ":")
	if !found || scheme == string(database.SQLite) {
		return string(u)
	}
	at := strings.LastIndex(rest, "@")
	if at < 0 {
		return scheme + "://…"
	}
	return scheme + "://…" + rest[at:]
}

// GoString keeps the account out of %#v too.
func (u DatabaseURL) GoString() string { return strconv.Quote(u.String()) }

// LogValue keeps the account out of the log.
func (u DatabaseURL) LogValue() slog.Value { return slog.StringValue(u.String()) }

// MarshalText keeps the account out of JSON.
func (u DatabaseURL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// Broker says where RocketMQ is and which topics are ours.
type Broker struct {
	NameServers []string `default:"127.0.0.1:9876" placeholder:"HOST:PORT" help:"RocketMQ name servers."`
	TopicPrefix string   `default:"" help:"Prefix of all topics and groups, so that deployments can share a broker. Letters, digits, - and _."`
}

// maxPrefix leaves room for our longest group name and the broker's "%RETRY%"
// within the 120 characters that some versions allow for a topic.
const maxPrefix = 64

// Validate checks the addresses and the prefix.
func (b Broker) Validate() error {
	if err := CheckAddresses(b.NameServers); err != nil {
		return fmt.Errorf("--name-servers: %w", err)
	}
	if len(b.TopicPrefix) > maxPrefix {
		return fmt.Errorf("--topic-prefix: must have at most %d characters, has %d", maxPrefix, len(b.TopicPrefix))
	}
	for _, c := range b.TopicPrefix {
		if !isPrefixRune(c) {
			return fmt.Errorf("--topic-prefix: may have letters, digits, - and _ only, not %q", c)
		}
	}
	return nil
}

func isPrefixRune(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// CheckAddress says what is wrong with an address to connect to, if anything is.
func CheckAddress(address string) error {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "" {
		return fmt.Errorf("%q must look like HOST:PORT", address)
	}
	return checkPort(address, port, 1)
}

// CheckAddresses says what is wrong with the addresses of a service's replicas, if
// anything is.
func CheckAddresses(addresses []string) error {
	if len(addresses) == 0 {
		return errors.New("must name at least one HOST:PORT")
	}
	for _, address := range addresses {
		if err := CheckAddress(address); err != nil {
			return err
		}
	}
	return nil
}

// CheckListen says what is wrong with an address to listen at, if anything is:
// the host may be empty (all interfaces), and port 0 takes a free one.
func CheckListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q must look like HOST:PORT or :PORT", address)
	}
	return checkPort(address, port, 0)
}

func checkPort(address, port string, least int) error {
	if n, err := strconv.Atoi(port); err != nil || n < least || n > 65535 {
		return fmt.Errorf("%q: port must be a number from %d to 65535", address, least)
	}
	return nil
}

// Consumers says how messages are handled.
type Consumers struct {
	ConsumerConcurrency int           `default:"20" help:"How many messages of one topic are handled at once, 1 to 1000."`
	HandlerTimeout      time.Duration `default:"10s" help:"How long the handling of one message may take before it is redelivered, 1s to 5m."`
}

// Validate checks the bounds.
func (c Consumers) Validate() error {
	if c.ConsumerConcurrency < 1 || c.ConsumerConcurrency > 1000 {
		return fmt.Errorf("--consumer-concurrency: must be 1 to 1000, is %d", c.ConsumerConcurrency)
	}
	return CheckDuration("--handler-timeout", c.HandlerTimeout, time.Second, 5*time.Minute)
}

// Topology says how topics are made again that the broker has lost.
type Topology struct {
	TopicQueues int `default:"4" help:"Queues per topic that is made again after the broker has lost its store, 1 to 1024; as \"orderctl mq init --queues\"."`
}

// Validate checks the bounds.
func (t Topology) Validate() error {
	if t.TopicQueues < 1 || t.TopicQueues > 1024 {
		return fmt.Errorf("--topic-queues: must be 1 to 1024, is %d", t.TopicQueues)
	}
	return nil
}

// Sweeper says how a service looks for what was left undone.
type Sweeper struct {
	SweepInterval time.Duration `default:"5s" help:"How often the sweeper looks for what was left undone, 10ms to 1h."`
	SweepGrace    time.Duration `default:"1m" help:"How long after the end of a payment window the sweeper does what the timer should have done, 0s to 24h."`
}

// Validate checks the bounds.
func (s Sweeper) Validate() error {
	if err := CheckDuration("--sweep-interval", s.SweepInterval, 10*time.Millisecond, time.Hour); err != nil {
		return err
	}
	return CheckDuration("--sweep-grace", s.SweepGrace, 0, 24*time.Hour)
}

// CheckDuration says that the flag's duration is out of its bounds, if it is.
func CheckDuration(flag string, d, least, most time.Duration) error {
	if d < least || d > most {
		return fmt.Errorf("%s: must be %v to %v, is %v", flag, least, most, d)
	}
	return nil
}

// Process says how the process ends.
type Process struct {
	DrainTimeout time.Duration `default:"20s" help:"How long running calls and handlers may take to finish after SIGTERM, 1s to 10m."`
	CrashPoint   string        `hidden:"" placeholder:"NAME=kill|NAME=pause:FILE" help:"For tests: kill or pause this process at a named point of the protocol."`
}

// Validate checks the bounds and the name of the crash point.
func (p Process) Validate() error {
	if _, err := p.Point(); err != nil {
		return fmt.Errorf("--crash-point: %w", err)
	}
	return CheckDuration("--drain-timeout", p.DrainTimeout, time.Second, 10*time.Minute)
}

// Point is the armed crash point; nil if there is none.
func (p Process) Point() (*crashpoint.Point, error) { return crashpoint.Parse(p.CrashPoint) }
