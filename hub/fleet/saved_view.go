package fleet

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hawser-dev/hawser/shared/fault"
)

// SavedView is what somebody keeps of a list: the parameters of its page by name, such
// as its filter and its order.
type SavedView struct {
	ID string
	// Things is the list, such as "applications".
	Things, Name string
	// Owner is whose it is, as Holder says, or Everyone, or it is of Project.
	Owner, Project string
	// Default: the list opens with it.
	Default   bool
	Search    map[string]string
	ChangedBy string
	ChangedAt time.Time
}

// Everyone is the owner of the views of an installation. No Holder is called so.
const Everyone = "everyone"

// MaxSavedViews bounds the views of one person, and those of one project.
const MaxSavedViews = 100

// SavedViewThings are the lists that have views.
var SavedViewThings = []string{"applications", "clusters", "jobs", "projects", "repositories"}

// Holder is whose things somebody's are, however often he logs in: a user's, a
// subject's of an identity provider, or a token's own.
func Holder(t APIToken) string {
	switch {
	case t.User != "":
		return "user " + t.User
	case t.Issuer != nil:
		return "subject " + t.Issuer.Provider + " " + t.Issuer.Subject
	case t.Session != nil:
		return "subject " + t.Session.Provider + " " + t.Session.Subject
	}
	return "token " + t.ID
}

// CheckSavedView decides whether a view can be kept: errors are Invalid, all of them.
func CheckSavedView(v SavedView) error {
	var problems fault.List
	if !slices.Contains(SavedViewThings, v.Things) {
		problems = append(problems, fault.New(fault.Invalid, "value_unknown", "things is %.60q; allowed: %s", v.Things, strings.Join(SavedViewThings, ", ")).
			WithField("things").WithFound(v.Things, strings.Join(SavedViewThings, ", ")))
	}
	if n := utf8.RuneCountInString(v.Name); n == 0 || n > 60 || strings.TrimSpace(v.Name) != v.Name || strings.ContainsFunc(v.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		problems = append(problems, fault.New(fault.Invalid, "name_invalid", "name has 1 to 60 characters that can be printed, and no space at its ends").WithField("name"))
	}
	size := 0
	for k, x := range v.Search {
		size += len(k) + len(x)
		if k == "" || len(k) > 40 || !utf8.ValidString(x) {
			problems = append(problems, fault.New(fault.Invalid, "parameter_invalid", "search has a key or a value that is no parameter of a page").WithField("search"))
			break
		}
	}
	if len(v.Search) > 20 || size > 4000 {
		problems = append(problems, fault.New(fault.Invalid, "parameter_invalid", "search has at most 20 parameters of 4000 bytes together").WithField("search"))
	}
	if len(problems) > 0 {
		return problems
	}
	return nil
}

// SavedViewUnknown is the answer about a view that there is not, or that somebody does
// not see.
func SavedViewUnknown(id string) *fault.Error {
	return fault.New(fault.NotFound, "saved_view_unknown", "there is no saved view %.60q", id)
}
