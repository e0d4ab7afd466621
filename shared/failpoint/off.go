//go:build !failpoints || !unix

package failpoint

// Hit marks a place. The name must be one of [Names].
func Hit(string) {}

// Error marks a place that can be made to fail. It returns nil unless the
// environment says otherwise. The name must be one of [Names].
func Error(string) error { return nil }
