package client

import (
	"context"
	"sync"
)

// renewal is what happens when the hub wants a password that was given a moment
// ago.
type renewal struct {
	mu sync.Mutex // of the token
	// asks is held while somebody is asked: one question at a time.
	asks sync.Mutex
	// how asks for the password and answers the new secret of the session.
	how func(ctx context.Context) (token string, err error)
}

// Renew has how called when the hub refuses a request with
// login_confirmation_needed, which is then sent once more with the token that how
// answers. It is called for one request at a time; an error of it is that of the
// request, nil and no token leave the refusal as it is.
func (c *Client) Renew(how func(ctx context.Context) (token string, err error)) { c.how = how }

func (c *Client) token() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hub.Token
}

// renew is nil when the request that was refused, and sent with the header with,
// is worth sending again.
func (c *Client) renew(ctx context.Context, with string, refused error) error {
	c.asks.Lock()
	defer c.asks.Unlock()
	if c.how == nil || with == "" {
		return refused
	}
	if with != "Bearer "+c.token() {
		return nil // another request has had it renewed
	}
	token, err := c.how(ctx)
	if err != nil {
		return err
	}
	if token == "" {
		return refused
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hub.Token = token
	return nil
}
