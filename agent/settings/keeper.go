package settings

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/hawser-dev/hawser/shared/customization"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/model"
)

// ConfigMapName is the cluster's own customizations, in the format of argocd-cm.
const ConfigMapName = "hawser-customizations"

// Store keeps the hub's settings in the cluster. Its methods block for a request
// or two; errors are faults.
type Store interface {
	// LoadSettings answers what was saved last; the zero Settings and false when
	// nothing was.
	LoadSettings(ctx context.Context) (model.Settings, bool, error)
	SaveSettings(ctx context.Context, s model.Settings) error
}

// User is somebody whom the customizations are for. It is called with all of
// them whenever they changed, one call at a time, and does not change the map.
// What it cannot use it leaves out and answers: faults, whose Field is the key
// where there is one.
type User func(data model.Customizations) []error

// Options of a Keeper. Store is required.
type Options struct {
	Store Store
	// Directory is what the agent was given at its start.
	Directory model.Customizations
	Users     []User
	Log       *slog.Logger
	Now       func() time.Time
	// Changed is called when there is other news for the cluster report:
	// settings stored, or conditions. It may be nil.
	Changed func()
}

// Keeper holds the settings. Load comes first, then Run; the other methods may
// be called at any time and from any goroutine, and do not wait.
type Keeper struct {
	o    Options
	wake chan struct{} // one slot

	mu     sync.Mutex
	held   bool           // stored is what the Secret holds
	stored model.Settings // durable
	newest model.Settings // of the hub
	has    bool           // newest is set
	local  model.Customizations
	unused []customization.Unused // of the ConfigMap
	// Troubles by their place.
	unreadable, unstored, damaged, refused *fault.Error
	conditions                             []model.Condition

	applied model.Digest // of the merged data that the users have; of Load, then of Run
	first   bool
	problem []*problem
}

type problem struct {
	err    *fault.Error
	origin string
}

const (
	saveFirst = time.Second
	saveCap   = time.Minute
	// maxConditions bounds what is shown of one source of troubles.
	maxConditions = 10
)

// New makes a Keeper.
func New(o Options) *Keeper {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Changed == nil {
		o.Changed = func() {}
	}
	return &Keeper{o: o, wake: make(chan struct{}, 1), first: true}
}

// Load reads what the hub said before and tells the users for the first time.
// Damaged settings are none: the hub sends them again. Other errors are the
// store's.
func (k *Keeper) Load(ctx context.Context) error {
	s, ok, err := k.o.Store.LoadSettings(ctx)
	k.mu.Lock()
	switch {
	case fault.Is(err, fault.Invalid):
		k.damaged = fault.As(err)
		k.o.Log.Warn("the stored settings of the hub cannot be read; waiting for the hub", "error", err)
	case err != nil:
		k.mu.Unlock()
		return err
	case ok:
		k.held, k.stored = true, s
		if !k.has { // the hub may have been heard already
			k.has, k.newest = true, s
		}
	}
	k.mu.Unlock()
	k.apply()
	return nil
}

// Run tells the users of changes and stores what the hub sends, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	failures := 0
	retry := time.NewTimer(time.Hour)
	retry.Stop()
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.wake:
		case <-retry.C:
		}
		k.apply()
		if err := k.save(ctx); err != nil && ctx.Err() == nil {
			pause := min(saveFirst<<min(failures, 10), saveCap)
			failures++
			retry.Reset(pause/2 + rand.N(pause/2))
			continue
		}
		failures = 0
	}
}

func (k *Keeper) poke() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// Held implements link.Settings.
func (k *Keeper) Held() model.Digest {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.held {
		return ""
	}
	return k.stored.Customizations.Digest()
}

// Take implements link.Settings: the settings are in force as soon as Run comes
// to it, and stored after that.
func (k *Keeper) Take(s model.Settings) {
	k.mu.Lock()
	k.newest, k.has, k.refused = s, true, nil
	k.mu.Unlock()
	k.o.Log.Info("settings of the hub", "version", s.Version, "keys", len(s.Customizations))
	k.poke()
}

// Refused implements link.Settings.
func (k *Keeper) Refused(err error) {
	k.o.Log.Error("the hub's settings cannot be taken; those from before stay in force", "error", err)
	k.mu.Lock()
	k.refused = fault.As(err)
	k.mu.Unlock()
	k.poke()
}

// Stored is the version and the digest of what is stored, for the cluster
// report.
func (k *Keeper) Stored() (version int64, digest model.Digest) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.held {
		return 0, ""
	}
	return k.stored.Version, k.stored.Customizations.Digest()
}

// Set takes the ConfigMap of the cluster; exists is false when there is none.
func (k *Keeper) Set(data map[string]string, exists bool) {
	k.mu.Lock()
	k.local, k.unused, k.unreadable = nil, nil, nil
	if exists {
		var unused []customization.Unused
		k.local, unused = customization.Split(data)
		for _, u := range unused {
			if u.Resource {
				k.unused = append(k.unused, u)
			}
		}
	}
	k.mu.Unlock()
	k.poke()
}

// Failed says that the ConfigMap cannot be read; what was read last stands.
func (k *Keeper) Failed(err error) {
	f := fault.As(err)
	if fault.Is(err, fault.Unavailable) {
		return // that the API server is away shows elsewhere
	}
	k.mu.Lock()
	k.unreadable = f
	k.mu.Unlock()
	k.poke()
}

// apply merges, tells the users when the result is another, and renews the
// conditions.
func (k *Keeper) apply() {
	k.mu.Lock()
	m := Merge(Sources{Hub: k.newest, Directory: k.o.Directory, ConfigMap: k.local})
	k.mu.Unlock()
	if digest := m.Data.Digest(); k.first || digest != k.applied {
		k.first, k.applied = false, digest
		k.problem = nil
		for _, use := range k.o.Users {
			for _, err := range use(m.Data) {
				f := fault.As(err)
				k.problem = append(k.problem, &problem{f, m.Origin(f.Field)})
			}
		}
		if len(m.Data) > 0 || len(k.problem) > 0 {
			k.o.Log.Info("resource customizations in force", "keys", len(m.Data), "problems", len(k.problem))
		}
	} else {
		for _, p := range k.problem { // the same text may come from elsewhere now
			p.origin = m.Origin(p.err.Field)
		}
	}
	k.renew()
}

// save stores what the hub said last.
func (k *Keeper) save(ctx context.Context) error {
	k.mu.Lock()
	s := k.newest
	due := k.has && (!k.held || k.stored.Version != s.Version || k.stored.Customizations.Digest() != s.Customizations.Digest())
	k.mu.Unlock()
	if !due {
		return nil
	}
	err := k.o.Store.SaveSettings(ctx, s)
	k.mu.Lock()
	if err == nil {
		k.held, k.stored = true, s
		k.unstored, k.damaged = nil, nil
	} else {
		k.unstored = fault.As(err)
		k.o.Log.Warn("the settings of the hub are not stored; trying again", "error", err)
	}
	k.mu.Unlock()
	if err == nil {
		k.o.Changed()
	}
	k.renew()
	return err
}

// Conditions are the troubles with settings, for people.
func (k *Keeper) Conditions() []model.Condition {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.conditions)
}

// renew makes the conditions anew; one that was there keeps its time.
func (k *Keeper) renew() {
	k.mu.Lock()
	var out []model.Condition
	now := k.o.Now()
	add := func(code, message string) {
		c := model.Condition{Type: "SettingsError", Code: code, Message: message, Since: &now}
		if i := slices.IndexFunc(k.conditions, func(old model.Condition) bool { return old.Code == code && old.Message == message }); i >= 0 {
			c.Since = k.conditions[i].Since
		}
		out = append(out, c)
	}
	if e := k.unreadable; e != nil {
		add("customizations_unreadable", fmt.Sprintf("ConfigMap %s cannot be read: %s (%s)", ConfigMapName, e.Message, e.Fix))
	}
	if e := k.refused; e != nil {
		add("settings_refused", "this agent cannot take the hub's settings; those from before stay in force: "+e.Message)
	}
	if e := k.damaged; e != nil {
		add("settings_damaged", "the hub's settings that were stored cannot be read, and are not in force: "+e.Message)
	}
	if e := k.unstored; e != nil {
		add("settings_unstored", "the hub's settings are in force and cannot be stored: "+e.Message)
	}
	for i, p := range k.problem {
		if i == maxConditions {
			add("customization_invalid", fmt.Sprintf("and %d more customizations cannot be used", len(k.problem)-i))
			break
		}
		message := p.err.Message
		if p.origin != "" {
			message = fmt.Sprintf("%s (%s)", message, p.origin)
		}
		add(p.err.Code, message)
	}
	for i, u := range k.unused {
		if i == maxConditions {
			add("customization_unused", fmt.Sprintf("and %d more keys of ConfigMap %s are not used", len(k.unused)-i, ConfigMapName))
			break
		}
		add("customization_unused", fmt.Sprintf("key %.120q of ConfigMap %s is not used: %s", u.Key, ConfigMapName, u.Why))
	}
	same := slices.EqualFunc(out, k.conditions, func(a, b model.Condition) bool { return a.Code == b.Code && a.Message == b.Message })
	k.conditions = out
	k.mu.Unlock()
	if !same {
		k.o.Changed()
	}
}
