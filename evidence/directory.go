package evidence

// What a data directory holds.
const (
	LedgerDir       = "ledger"      // the Merkle log of records: C2SP tlog-tiles
	PayloadDir      = "payloads"    // the payloads by SHA-256
	VerifierKeyFile = "ledger.vkey" // the verifier key of the ledger, one line
	LockFile        = "lock"        // held by the agent that writes; names it
	SocketFile      = "agent.sock"  // where the agent that holds the directory takes records of a person's commands
)
