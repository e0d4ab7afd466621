package api

import (
	"context"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hawser-dev/hawser/hub/fleet"
	"github.com/hawser-dev/hawser/shared/fault"
	"github.com/hawser-dev/hawser/shared/policy"
	"github.com/hawser-dev/hawser/shared/signature"
)

// GPGKeys keeps public keys. Its methods block for a round trip; errors are faults.
type GPGKeys interface {
	GPGKeys(ctx context.Context) ([]fleet.GPGKey, error)
	// GPGKey is NotFound (gpg_key_unknown) for a key that is not there.
	GPGKey(ctx context.Context, id string) (fleet.GPGKey, error)
	PutGPGKeys(ctx context.Context, keys []signature.Key, by string) error
	DeleteGPGKey(ctx context.Context, id string) error
}

// gpgKey is a key as it is shown; the key itself only when one is asked for.
type gpgKey struct {
	signature.Key
	AddedBy string    `json:"addedBy,omitempty"`
	AddedAt time.Time `json:"addedAt"`
}

// gpgKeysAdded is a request to add keys, in ASCII armour.
type gpgKeysAdded struct {
	KeyData string `json:"keyData"`
}

var gpgKeyRoutes = []Route{
	{
		Method: http.MethodGet, Path: "/gpg-keys", ID: "listGPGKeys", Tag: "settings", Summary: "GnuPG keys that projects may trust",
		Verb: VerbGet, Resource: ResourceGPGKeys, Answer: list[gpgKey]{}, Status: http.StatusOK, handler: (*api).listGPGKeys, when: hasGPGKeys,
	},
	{
		Method: http.MethodGet, Path: "/gpg-keys/:id", ID: "getGPGKey", Tag: "settings", Summary: "One GnuPG key",
		Verb: VerbGet, Resource: ResourceGPGKeys, Answer: gpgKey{}, Status: http.StatusOK, Tagged: true, handler: (*api).getGPGKey, when: hasGPGKeys,
	},
	{
		Method: http.MethodPost, Path: "/gpg-keys", ID: "addGPGKeys", Tag: "settings", Summary: "Add public GnuPG keys",
		Detail: "A key that is there already is replaced. Secret keys are refused.",
		Verb:   VerbCreate, Resource: ResourceGPGKeys, Fresh: true, Body: gpgKeysAdded{}, Answer: list[gpgKey]{}, Status: http.StatusOK, handler: (*api).addGPGKeys, when: hasGPGKeys,
	},
	{
		Method: http.MethodDelete, Path: "/gpg-keys/:id", ID: "deleteGPGKey", Tag: "settings", Summary: "Remove a GnuPG key",
		Verb: VerbDelete, Resource: ResourceGPGKeys, Fresh: true, Status: http.StatusNoContent, handler: (*api).deleteGPGKey, when: hasGPGKeys,
	},
}

func hasGPGKeys(o Options) bool { return o.GPGKeys != nil }

func shownGPGKey(k fleet.GPGKey, whole bool) gpgKey {
	out := gpgKey{Key: k.Key, AddedBy: k.AddedBy, AddedAt: k.AddedAt}
	if !whole {
		out.Armored = ""
	}
	return out
}

func (a *api) listGPGKeys(c *gin.Context) {
	keys, err := a.opts.GPGKeys.GPGKeys(c.Request.Context())
	if err != nil {
		a.fail(c, err)
		return
	}
	out := make([]gpgKey, len(keys))
	for i, k := range keys {
		out[i] = shownGPGKey(k, false)
	}
	c.JSON(http.StatusOK, newList(a, out))
}

// gpgKeyID is the id in the path.
func gpgKeyID(c *gin.Context) (string, error) {
	id := c.Param("id")
	if !policy.ValidKeyID(id) {
		return "", fault.New(fault.Invalid, "gpg_key_id_invalid", "%q is not the id of a key; it has 16 or 40 hexadecimal digits", cut(id)).WithField("id")
	}
	return id, nil
}

func (a *api) getGPGKey(c *gin.Context) {
	id, err := gpgKeyID(c)
	var k fleet.GPGKey
	if err == nil {
		k, err = a.opts.GPGKeys.GPGKey(c.Request.Context(), id)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.answerTagged(c, 1, shownGPGKey(k, true)) // a key never changes; who added it last may
}

func (a *api) addGPGKeys(c *gin.Context) {
	ctx := c.Request.Context()
	var in gpgKeysAdded
	err := a.into(c, &in, false)
	var keys []signature.Key
	if err == nil {
		keys, err = signature.ParseKeys([]byte(in.KeyData))
	}
	by := ""
	if err == nil {
		by = identity(c).Name
		err = a.opts.GPGKeys.PutGPGKeys(ctx, keys, by)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	out := make([]gpgKey, len(keys))
	for i, k := range keys {
		out[i] = shownGPGKey(fleet.GPGKey{Key: k, AddedBy: by, AddedAt: a.now()}, false)
		a.log.InfoContext(ctx, "GnuPG key added", "key", k.ID, "owner", k.Owner, "by", by)
	}
	a.gpgKeysChanged()
	c.JSON(http.StatusOK, newList(a, out))
}

func (a *api) deleteGPGKey(c *gin.Context) {
	id, err := gpgKeyID(c)
	if err == nil {
		err = a.opts.GPGKeys.DeleteGPGKey(c.Request.Context(), id)
	}
	if err != nil {
		a.fail(c, err)
		return
	}
	a.log.InfoContext(c.Request.Context(), "GnuPG key removed", "key", id, "by", identity(c).Name)
	a.gpgKeysChanged()
	c.Status(http.StatusNoContent)
}

func (a *api) gpgKeysChanged() {
	if a.opts.GPGKeysChanged != nil {
		a.opts.GPGKeysChanged()
	}
}
