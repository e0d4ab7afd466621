package output

import "strings"

// Look is what a terminal can show.
type Look struct {
	// Width in columns; 0 when it is no terminal: nothing is cut then.
	Width int
	// Colour and Icons may be shown. Icons only beside words.
	Colour, Icons bool
}

type sign struct {
	icon   string
	colour string // SGR parameters
}

// Shapes differ, so that colour is never all there is to see.
var (
	good    = sign{"✔", "32"}
	bad     = sign{"✖", "31"}
	moving  = sign{"◐", "34"}
	drifted = sign{"≠", "33"}
	pending = sign{"…", "33"}
	paused  = sign{"⏸", "35"}
	missing = sign{"◌", "33"}
	unknown = sign{"?", "90"}
)

// signs by the first word of a status.
var signs = map[string]sign{
	"Healthy": good, "Synced": good, "Connected": good, "Succeeded": good, "ok": good, "passed": good,
	"Degraded": bad, "Failed": bad, "Error": bad, "Offline": bad, "Revoked": bad, "failed": bad,
	"Progressing": moving, "Running": moving, "Deleting": moving, "checking": moving,
	"OutOfSync": drifted, "Drifted": drifted,
	"Pending": pending, "Queued": pending,
	"Suspended": paused, "Paused": paused, "Terminated": paused, "Superseded": paused, "Expired": paused,
	"Missing": missing, "NeverSeen": missing,
	"Unknown": unknown, "unknown": unknown, "": unknown,
}

// Status is a status with its icon and colour, as far as the terminal shows
// them. A status that is not known here stays as it is.
func (l Look) Status(s string) string {
	icon, start, end := l.decorate(s)
	return start + icon + s + end
}

func (l Look) decorate(s string) (icon, start, end string) {
	word, _, _ := strings.Cut(s, " ")
	g, ok := signs[word]
	if !ok || s == "" {
		return "", "", ""
	}
	if l.Icons {
		icon = g.icon + " "
	}
	if l.Colour {
		start, end = "\x1b["+g.colour+"m", "\x1b[0m"
	}
	return icon, start, end
}

// Mark is text with the icon and the colour of a status.
func (l Look) Mark(status, text string) string {
	icon, start, end := l.decorate(status)
	return start + icon + text + end
}
