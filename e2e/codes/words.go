package codes

// said is what a code means and what to do about it, where the source writes
// neither beside the code: decisions, conditions and warnings are made with texts
// that are put together.
type said struct{ means, fix string }

// askWho is what there is to do about a rule of a project.
const askWho = "hawser explain app/NAME shows the nearest rule and who can change it; or correct the application"

// trust is what there is to do about a signature.
const trust = "sign the commit or tag with a key of the project (hawser gpg list, hawser project get NAME), or have the project's signatureKeys changed"

var words = map[string]said{
	"destination_not_permitted":      {"the project allows no deployment to this cluster and namespace", askWho},
	"repo_not_permitted":             {"the project does not allow this repository as a source", askWho},
	"kind_not_permitted":             {"the project does not allow objects of this kind, or of this name of the kind", askWho},
	"source_namespace_not_permitted": {"the project does not accept Applications from this namespace", askWho},
	"permission_denied":              {"the login may see this and has no role that may do it", "hawser auth can-i --list shows what you may do, hawser explain app/NAME --verb VERB why; an administrator grants a role with a new token"},
	"sync_window_closed":             {"a sync window of the project keeps this sync from running now", "wait until the window opens (hawser project window list PROJECT), or have the window changed"},

	"service_account_not_found":  {"the project's service account for this destination does not exist in the cluster", "create it there, or correct spec.destinationServiceAccounts of the project"},
	"signature_missing":          {"the project wants signed commits, and this one has no signature", trust},
	"signature_bad":              {"the signature does not fit what it signs: it was changed after signing", trust},
	"signature_untrusted":        {"the signature is good, and its key is none of the project's", trust},
	"signature_expired":          {"the signature itself has expired", trust},
	"signature_key_expired":      {"the key of the signature had expired when it was made", trust},
	"signature_key_revoked":      {"the key of the signature is revoked", trust},
	"signature_malformed":        {"the signature cannot be read", trust},
	"signature_unsupported":      {"the signature is of a form that is not known here", trust},
	"signature_not_verified":     {"the signature could not be looked at", trust},
	"signature_policy_invalid":   {"what the project says about signatures cannot be followed", "correct the project: hawser project edit NAME"},
	"signature_history_too_long": {"more commits than can be checked lie between the last one that was checked and this one", "sync a commit that lies between, then this one"},

	"deletes_held":         {"nothing is pruned or deleted: the hub's database was restored from an older copy, or the agent does not trust its knowledge yet", "look at the applications, then hawser hub acknowledge-restore"},
	"prune_guard":          {"a sync would delete more objects than it may without somebody's word", "look at hawser app plan NAME, then hawser app sync NAME --prune --confirm-prune N"},
	"deletion_unconfirmed": {"objects that say Delete=confirm wait for an approval", "hawser app confirm-deletion NAME"},
	"fight_detected":       {"something else in the cluster changes an object back again and again, so that it is put right less often", "find out who: the condition names the manager; ignore the field in spec.ignoreDifferences, or end the other one"},
	"comparison_failed":    {"an object cannot be compared with what Git says", "correct what the condition names, in Git or in the cluster"},
	"application_isolated": {"the application was found to make the agent fail, and is looked at by itself and less often", "commit a smaller application, or raise the agent's memory"},
	"sync_failed":          {"the last sync ended badly; it is tried again as the retry policy says", "hawser operation list --app NAME, then hawser operation get ID"},
	"sync_waiting":         {"a sync is under way and waits for what the condition names", "nothing, or hawser app cancel NAME"},
	"hook_failed":          {"a hook of the sync failed, which ends it", "look at the hook: hawser app logs NAME --kind Job"},
	"api_removed":          {"the cluster does not have this version of the kind any more", "write the version that the message names"},
	"options_not_applied":  {"while a rollback holds, some options of the application are not those of Git", "hawser app unpin NAME ends the rollback"},

	"orphaned_resources":        {"the project's namespace has objects that no application has", "delete them, add them to Git, or ignore them in spec.orphanedResources.ignore of the project"},
	"agent_oom_restarts":        {"the agent was ended for its use of memory, several times", "raise the memory limit of the agent"},
	"status_truncated":          {"the application has more objects than are reported; all of them are managed", "split the application"},
	"settings_refused":          {"the agent cannot take the settings of the hub; those from before stay in force", "correct them: hawser settings customizations set"},
	"settings_unstored":         {"the agent uses the hub's settings and cannot keep them", "look at the agent's rights in its own namespace"},
	"customization_unused":      {"a customization is known and does nothing here", "remove it, or see docs/customizations.md"},
	"customizations_unreadable": {"the cluster's own customizations cannot be read", "look at the ConfigMap hawser-customizations there and the agent's rights"},
	"application_foreign":       {"an agent spoke of applications of another cluster, three times in a session", "see whether its state was copied from another cluster; enrol it anew"},
	"hub_too_old":               {"the agent is of a newer release than this hub can speak to", "bring the hub to the agent's release, or the agent to the hub's"},
	"incarnation_raised":        {"the hub's database was restored; all agents connect anew", "nothing: it happens by itself"},
	"session_broken":            {"the connection of an agent broke; it comes again by itself", "nothing, unless it goes on: then look at what cuts long connections between the cluster and the hub"},
	"session_silent":            {"nothing was heard of an agent for two and a half heartbeats, and the hub ended its session", "look whether the agent runs, and at the network between the cluster and the hub"},
	"session_stuck":             {"an agent did not read what it was sent, and the hub ended its session", "look at the load of the agent's node, and at the network between the cluster and the hub"},
	"session_superseded":        {"another agent connected with the same identity and took the place of this one", "see that one agent runs in the cluster only"},
	"session_rate":              {"an agent connects too often", "nothing: it waits; look at why it loses its connection when this goes on"},
}
