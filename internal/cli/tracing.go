package cli

import (
	"errors"
	"fmt"
	neturl "net/url"
)

// Tracing says where traces go.
type Tracing struct {
	OTLPEndpoint string  `name:"otlp-endpoint" default:"" placeholder:"URL" help:"Send traces to this OTLP/gRPC receiver, such as http://127.0.0.1:4317; https for TLS. None are recorded if it is empty."`
	TraceSample  float64 `default:"1" help:"The part of the traces that begin here and are recorded, 0 to 1; what a caller has decided holds. Needs --otlp-endpoint."`
}

// Validate checks the URL and the bounds.
func (t Tracing) Validate() error {
	if !(t.TraceSample >= 0 && t.TraceSample <= 1) { // NaN is neither
		return fmt.Errorf("--trace-sample: must be 0 to 1, is %v", t.TraceSample)
	}
	if t.OTLPEndpoint == "" {
		return nil
	}
	if err := checkEndpoint(t.OTLPEndpoint); err != nil {
		return fmt.Errorf("--otlp-endpoint: %w", err)
	}
	return nil
}

// Flags are those of a service whose traces go to the same place.
func (t Tracing) Flags() []string {
	return []string{"--otlp-endpoint=" + t.OTLPEndpoint, fmt.Sprintf("--trace-sample=%v", t.TraceSample)}
}

func checkEndpoint(text string) error {
	u, err := neturl.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("must look like http://HOST:PORT or https://HOST:PORT")
	case u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return errors.New("must have no account, path, query or fragment")
	default:
		return CheckAddress(u.Host)
	}
}
