package config

// Secrets keeps tokens where other programs of the user cannot read them as they
// can read a file. Its calls end in a bounded time.
type Secrets interface {
	// Get returns "" when nothing is kept for the key.
	Get(key string) (string, error)
	Set(key, secret string) error
	// Delete of what is not there is no error.
	Delete(key string) error
}
