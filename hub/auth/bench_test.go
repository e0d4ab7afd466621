package auth

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/hawser-dev/hawser/hub/fleet"
)

// BenchmarkIdentity is what logins and checks cost besides the database: floor is
// the hash of a password alone, as its parameters make it.
func BenchmarkIdentity(b *testing.B) {
	ctx := context.Background()
	store := &memoryStore{}
	store.Now, store.Token = time.Now, store.CreateAPIToken
	s := New(store, nil, slog.New(slog.DiscardHandler))
	if _, err := s.CreateUser(ctx, fleet.NewUser{Name: "ann", Password: goodPassword, Admin: true}); err != nil {
		b.Fatal(err)
	}
	in, err := s.PasswordLogin(ctx, "192.0.2.1", "ann", goodPassword, false)
	if err != nil {
		b.Fatal(err)
	}
	token, _, err := s.Issue(ctx, fleet.NewAPIToken{Name: "ci", Admin: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("floor", func(b *testing.B) {
		salt := make([]byte, saltSize)
		for b.Loop() {
			argon2.IDKey([]byte(goodPassword), salt, usual.time, usual.memory, usual.threads, keySize)
		}
	})
	b.Run("login", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.PasswordLogin(ctx, "192.0.2.1", "ann", goodPassword, false); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, secret := range map[string]string{"session": in.Secret, "token": token} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Authenticate(ctx, "192.0.2.1", secret); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
