package devbroker

// T is what RunT uses of a test.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Cleanup(f func())
}

// RunT starts a broker that is closed with the test.
func RunT(t T, options ...Option) *Broker {
	t.Helper()
	b, err := Start(options...)
	if err != nil {
		t.Fatalf("start devbroker: %v", err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close devbroker: %v", err)
		}
	})
	return b
}
