package gateway

import (
	"errors"
	"net/http"

	"github.com/fairlead-gateway/fairlead/admin"
	"github.com/fairlead-gateway/fairlead/notify/webhook"
	"github.com/fairlead-gateway/fairlead/notify/webhook/subscription"
)

// webhookAPI is webhooks as admin sees them.
type webhookAPI struct{ service *webhook.Service }

func (a webhookAPI) List() any { return a.service.List() }

func (a webhookAPI) Get(name string) (any, error) {
	s, err := a.service.Get(name)
	return s, faultOf(err)
}

func (a webhookAPI) Create(decode func(any) error) (any, error) {
	var s subscription.Subscription
	if err := decode(&s); err != nil {
		return nil, err
	}
	s, err := a.service.Create(s)
	return s, faultOf(err)
}

func (a webhookAPI) Update(name string, decode func(any) error) (any, error) {
	var c webhook.Change
	if err := decode(&c); err != nil {
		return nil, err
	}
	s, err := a.service.Update(name, c)
	return s, faultOf(err)
}

func (a webhookAPI) Delete(name string) error { return faultOf(a.service.Delete(name)) }

func (a webhookAPI) Ping(name string) (admin.Pinged, error) {
	id, err := a.service.Ping(name)
	return admin.Pinged{ID: id}, faultOf(err)
}

func (a webhookAPI) Events(name string) (any, error) {
	list, err := a.service.ListEvents(name)
	return list, faultOf(err)
}

// faultOf tells what whoever asked did wrong from what we cannot do.
func faultOf(err error) error {
	for status, faults := range map[int][]error{
		http.StatusBadRequest: {subscription.ErrInvalid},
		http.StatusNotFound:   {webhook.ErrUnknown},
		http.StatusConflict:   {webhook.ErrExists, webhook.ErrInFile, webhook.ErrTooMany, webhook.ErrDisabled},
	} {
		for _, fault := range faults {
			if errors.Is(err, fault) {
				return admin.Problem{Status: status, Detail: err.Error()}
			}
		}
	}
	return err
}
