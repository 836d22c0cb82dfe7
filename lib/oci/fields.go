package oci

import "encoding/json"

// Fields are what the config says, annotations aside: by key, each value as JSON in one spelling. Keys of the execution
// config have "config." in front, and each label is by itself, as "config.Labels.NAME". Two configs with the same fields
// give the same config in an image.
func (c *Config) Fields() (map[string]string, error) {
	values := map[string]any{}
	platform, err := json.Marshal(platformOf(c))
	if err != nil {
		return nil, err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(platform, &keys); err != nil {
		return nil, err
	}
	for key, value := range keys {
		values[key] = value
	}
	if c.Author != "" {
		values["author"] = c.Author
	}
	if c.Created != nil {
		values["created"] = utc(c.Created)
	}
	for key, value := range c.exec {
		values["config."+key] = value
	}
	for name, value := range c.Labels {
		values["config.Labels."+name] = value
	}
	fields := make(map[string]string, len(values))
	for key, value := range values {
		data, err := canonical(value)
		if err != nil {
			return nil, err
		}
		fields[key] = string(data)
	}
	return fields, nil
}
