// A consumer of KIP-848's protocol that subscribes to an expression, which the broker resolves. Reads so many records,
// prints each as `topic value`, commits and leaves. What goes wrong is printed as `failed CLASS MESSAGE`.
//
//   java -cp '.parts/kafka/lib/*' test/interop/PatternConsumer.java BOOTSTRAP GROUP EXPRESSION ASSIGNOR RECORDS

import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.SubscriptionPattern;
import org.apache.kafka.common.serialization.StringDeserializer;

public class PatternConsumer {
    public static void main(String[] arguments) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", arguments[0]);
        properties.put("group.id", arguments[1]);
        properties.put("group.protocol", "consumer");
        properties.put("group.remote.assignor", arguments[3]);
        properties.put("auto.offset.reset", "earliest");
        properties.put("enable.auto.commit", "false");
        properties.put("metadata.max.age.ms", "1000");
        int left = Integer.parseInt(arguments[4]);
        try (var consumer = new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(new SubscriptionPattern(arguments[2]));
            while (left > 0) {
                for (var each : consumer.poll(Duration.ofMillis(500))) {
                    System.out.println(each.topic() + " " + each.value());
                    left--;
                }
            }
            consumer.commitSync();
        } catch (Exception error) {
            System.out.println("failed " + error.getClass().getSimpleName() + " " + error.getMessage());
        }
    }
}
