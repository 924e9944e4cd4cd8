# For varnishd -p pipe_timeout=600. LiteLLM listens at 127.0.0.1:4000.
vcl 4.1;

backend litellm {
    .host = "127.0.0.1";
    .port = "4000";
}

sub vcl_recv {
    return (pipe);
}
