# An MQTT client by another hand (Eclipse Paho), for qos2-crash.long.ts: it keeps its session over lost connections and
# connects again for ever. Needs the Debian package python3-paho-mqtt.
#
#   paho_client.py publish PORT ID TOPIC   publishes 0, 1, 2, ... with QoS 2 until its input ends, then waits until all is
#                                          acknowledged, and prints how many there were
#   paho_client.py subscribe PORT ID TOPIC prints `subscribed`, and then the payload of each message of QoS 2

import sys
import threading
import time

import paho.mqtt.client as mqtt

mode, port, client_id, topic = sys.argv[1:5]


class Client(mqtt.Client):
    # Paho 1.6.1 prepares what it has to send again before each attempt to connect, and takes a message whose PUBREL is to
    # be sent again for one that was never published at the second attempt: it would publish that message twice.
    def _messages_reconnect_reset_out(self):
        for message in self._out_messages.values():
            if message.state == mqtt.mqtt_ms_resend_pubrel:
                message.state = mqtt.mqtt_ms_wait_for_pubcomp
        super()._messages_reconnect_reset_out()


client = Client(client_id, clean_session=False)
client.reconnect_delay_set(min_delay=1, max_delay=1)
client.max_inflight_messages_set(40)
client.max_queued_messages_set(0)

published = 0
acknowledged = 0


def on_publish(_client, _userdata, _mid):
    global acknowledged
    acknowledged += 1


def on_message(_client, _userdata, message):
    print(message.payload.decode(), flush=True)


def on_connect(client, _userdata, flags, code):
    if mode == "subscribe" and not flags["session present"]:
        client.subscribe(topic, 2)


client.on_publish = on_publish
client.on_message = on_message
client.on_connect = on_connect
client.on_subscribe = lambda *_: print("subscribed", flush=True)
client.connect("127.0.0.1", int(port), keepalive=60)
client.loop_start()

if mode == "subscribe":
    threading.Event().wait()

is_over = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), is_over.set()), daemon=True).start()
while not is_over.is_set():
    if published - acknowledged < 200:
        client.publish(topic, str(published), qos=2)
        published += 1
    time.sleep(0.002)
while acknowledged < published:
    time.sleep(0.05)
print(published, flush=True)
client.disconnect()
