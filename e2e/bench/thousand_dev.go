package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/hawser-dev/hawser/e2e/fleetsim"
)

// leaveServices is how many applications each cluster of a fleet for people has.
const leaveServices = 2

// leaveFleet starts a hub with a fleet of n agents and leaves both until ctx ends. rate
// is how many things a second happen in the fleet, 0 for none.
func leaveFleet(ctx context.Context, bin string, n, rate int) error {
	h, err := startThousand(ctx, bin, os.Stderr)
	if err != nil {
		return err
	}
	defer h.Close()
	fmt.Fprintf(os.Stderr, "enrolling %d agents\n", n)
	if err := h.enrol(ctx, n, nil); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "deploying %d applications\n", leaveServices*n)
	if err := h.deploy(ctx, leaveServices); err != nil {
		return err
	}
	page, code, err := h.Hub.FirstLogin(ctx)
	if err != nil {
		return err
	}
	user, password := "dev", "dev-"+strings.ToLower(rand.Text()[:12])
	link := page + "#" + url.Values{"code": {code}, "username": {user}, "password": {password}}.Encode()
	fmt.Printf("console      %s\n             (once; afterwards user %s, password %s)\naddress      %s\nCA hash      %s\nrepository   %s\ncommand line HAWSER_CONFIG=%s HAWSER_KEYRING=off\n",
		link, user, password, h.Hub.URL(), h.Hub.CAHash, h.repo.URL(), h.ConfigPath())
	fmt.Fprintln(os.Stderr, "interrupt to end it")
	if rate == 0 {
		<-ctx.Done()
		return nil
	}
	happened := h.fleet.Churn(ctx, fleetsim.Churn{Rate: float64(rate), Services: leaveServices})
	for _, what := range slices.Sorted(maps.Keys(happened)) {
		fmt.Fprintf(os.Stderr, "%6d × %s\n", happened[what], what)
	}
	return nil
}
