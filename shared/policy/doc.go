// Package policy decides whether a project permits an application and its
// objects, and explains the decision: the checks in order, and for a refusal
// the rule that came nearest.
//
// It is pure: facts in, Decision out. The hub asks it when an application is
// written and again after rendering; the agent asks it once more before it
// applies. The semantics are Argo CD's:
//
//   - Patterns are globs: "*" any text, "?" one character, "[a-z]" "[!a-z]" one
//     of a set, "{a,b}" alternatives, "\" takes the next character literally.
//     In sourceRepos "*" and "?" stop at "/" and "**" does not; everywhere else
//     "*" crosses "/". A pattern that is only "*" matches everything.
//
//   - A leading "!" inverts a pattern: it matches whatever the rest does not
//     match, and what the rest does match is refused, whatever other rules say.
//
//   - A destination rule matches by cluster name or by server, and by
//     namespace. A cluster has several servers here (its aliases): an allowing
//     pattern needs one of them, a denying pattern refuses if any is hit, and
//     the server pattern "*" matches also a cluster that has none.
//
//   - A destination rule with a clusterSelector (ours) is about the clusters with
//     these labels, and about no others: there it allows and denies as it would
//     without one. {clusterSelector: …, name: "!*"} denies all of them.
//
//   - destinationBlacklist and sourceRepoBlacklist (ours) only deny: a rule of theirs
//     refuses what it matches in all its fields, whatever other rules say, and
//     allows nothing. "!" cannot say that: it also allows what it does not deny.
//
//   - Cluster-scoped kinds are denied unless clusterResourceWhitelist names
//     them; namespaced kinds are allowed unless namespaceResourceWhitelist is
//     set (also to an empty list). A blacklist beats a whitelist. Kinds, groups
//     and names are globs of path.Match; names in rules for namespaced kinds are
//     ours. An object whose name the cluster makes is denied by any name that a
//     blacklist has for its kind.
//
//   - Repository URLs are compared without regard to case, ".git" and the
//     spelling of SSH addresses.
//
//   - An Application that lives in another namespace than the usual "argocd"
//     needs a match in sourceNamespaces.
//
//   - Limits refuse what is new, never what is there.
//
//   - Rules of global projects are added to a project's own; see Effective.
//
// Decision says nothing about users (package hub/permission does), nor about the
// time: whether sync windows let a sync run now is DecideWindows, which the agent
// asks before and during a sync. What a project demands of signatures is
// SignatureDemandOf and CheckSignatures, and whom an agent acts as is
// ServiceAccountFor. Text writes a Decision for people; API, problems, conditions
// and command line all show that. Selection limits a sync to some objects.
package policy
