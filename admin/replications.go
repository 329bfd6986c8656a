package admin

import "time"

// Regional is one replica as /v1/replications shows it: in the shape that Azure Resource Manager gives a registry's
// replications, and beside that what only we have.
type Regional struct {
	ID         string            `json:"id"` // /replications/NAME
	Name       string            `json:"name"`
	Type       string            `json:"type"`     // Fairlead/replications
	Location   string            `json:"location"` // the place's name without its cloud; "" where it is a point
	Tags       map[string]string `json:"tags"`
	Properties RegionalState     `json:"properties"`
	Fairlead   RegionalOurs      `json:"fairlead"`
}

// RegionalState is what ARM has of a replication.
type RegionalState struct {
	ProvisioningState     string         `json:"provisioningState"` // Creating, Succeeded or Deleting
	Status                RegionalStatus `json:"status"`
	RegionEndpointEnabled bool           `json:"regionEndpointEnabled"` // false: not in DNS, and synchronised all the same
	ZoneRedundancy        string         `json:"zoneRedundancy"`        // Disabled: that is the registry's own affair
}

// RegionalStatus is how a replica is.
type RegionalStatus struct {
	DisplayStatus string    `json:"displayStatus"` // Provisioning, Syncing, Ready, Leaving, Offline or Unavailable
	Message       string    `json:"message"`       // what it lacks, or what is wrong
	Timestamp     time.Time `json:"timestamp"`
}

// RegionalOurs is what ARM has no words for.
type RegionalOurs struct {
	Place     string   `json:"place"` // such as azure/westus, or LAT,LON
	Addresses []string `json:"addresses"`
	Upstream  string   `json:"upstream"`
	Home      bool     `json:"home"`
	State     string   `json:"state"` // the operator's word: online, drain or offline
	Write     bool     `json:"write"`
	Bias      float64  `json:"bias"`     // ms
	Declared  bool     `json:"declared"` // in a file; else made by a command
	Overlaid  []string `json:"overlaid"` // keys whose value is not the file's
}

// Regionals is the answer of GET /v1/replications.
type Regionals struct {
	Value []Regional `json:"value"`
}

// Change is who changed what by command, through which gateway.
type Change struct {
	At      time.Time `json:"at"`
	By      string    `json:"by"`
	Through string    `json:"through"`
	Key     string    `json:"key"` // such as replicas[westus].state
	Old     string    `json:"old"`
	New     string    `json:"new"`
}

// Changes is the answer of GET /v1/changes, the earliest first.
type Changes struct {
	Value []Change `json:"value"`
}

// RegionalChange is the body of PUT (create) and PATCH (update) of /v1/replications/NAME. What is nil stays as it is;
// for a replica that is made, it is the default, or what `regions` has of the place.
type RegionalChange struct {
	Location   *string           `json:"location,omitempty"` // a place's name, such as azure/westus; of PUT alone
	Tags       map[string]string `json:"tags,omitempty"`
	Properties struct {
		RegionEndpointEnabled *bool `json:"regionEndpointEnabled,omitempty"`
	} `json:"properties,omitzero"`
	Fairlead struct {
		Addresses []string `json:"addresses,omitempty"`
		Upstream  *string  `json:"upstream,omitempty"`
		State     *string  `json:"state,omitempty"`
		Write     *bool    `json:"write,omitempty"`
		Home      *bool    `json:"home,omitempty"` // true: home moves here
		Bias      *float64 `json:"bias,omitempty"` // ms
	} `json:"fairlead,omitzero"`
}
